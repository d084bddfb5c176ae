"""The image store: every image decoded once, uint8, memory-mapped, shared by all processes.

A store is a folder whose name is a digest of its file list (path, size, mtime) and preprocessing. It is
written under a temporary name and renamed when it is complete, so a folder with a store's name is always
complete. A file lock prevents two processes from building the same store.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.files import locked, replacing
from fingerprints.core.progress import Progress
from fingerprints.data.decode import Decoded, Preprocessing, decode, why_unusable
from fingerprints.data.layout import ImageFile
from fingerprints.data.names import require_writable


@dataclass(frozen=True)
class ImageStore:
    """Decoded images of one file list.

    Attributes:
        folder: The folder of the store.
        images: `(n, size, size)` uint8, read-only memory map, in the order of the file list;
            `(n, 3, size, size)` if a filter made colour images.
        digests: `(n,)` digests (32 hex digits) of the pixels before resizing: equal for identical images.
        native_sizes: `(n, 2)` width and height of each file; 0 if it could not be read.
        errors: Row -> why the file could not be read.
        built: Whether this call decoded the files (`False`: found on disk).
        narrow: Rows of images of 16 bits whose values end at 4,095 or lower.
        paths: Path of each file, `(n,)`.
    """

    folder: Path
    images: NDArray[np.uint8]
    digests: NDArray[np.bytes_]
    native_sizes: NDArray[np.int32]
    errors: dict[int, str]
    built: bool
    narrow: tuple[int, ...] = ()
    paths: tuple[str, ...] = ()

    def cached(self, name: str, compute: Callable[[], NDArray]) -> NDArray:
        """An array derived from the store's pixels, computed once and saved in the same folder."""
        path = self.folder / f"{name}.npy"
        if not path.exists():
            with replacing(path) as part, part.open("wb") as handle:
                np.save(handle, compute(), allow_pickle=False)
        return np.load(path, allow_pickle=False)

    def filled(
        self, name: str, *, shape: tuple[int, ...], dtype: DTypeLike, fill: Callable[[NDArray], None]
    ) -> NDArray:
        """An array derived from the store's pixels, computed once; it may be larger than memory.

        Args:
            name: Its file name without `.npy`; it must differ for different inputs and settings.
            shape: Its shape.
            dtype: Its type.
            fill: Function that writes the array into the memory map given to it.

        Returns:
            A read-only memory map.
        """
        path = self.folder / f"{name}.npy"
        if not path.exists():
            with locked(path.with_suffix(".lock")):
                if not path.exists():
                    self._fill(path, shape, dtype, fill)
        return np.load(path, mmap_mode="r", allow_pickle=False)

    @staticmethod
    def _fill(path: Path, shape: tuple[int, ...], dtype: DTypeLike, fill: Callable[[NDArray], None]) -> None:
        for stale in path.parent.glob(f"{path.name}.*.part"):  # we hold the lock: its writer was killed
            stale.unlink()
        with replacing(path) as part:
            array = new_array(part, shape, dtype)
            fill(array)
            array.flush()


def store_key(files: Sequence[ImageFile], preprocessing: Preprocessing) -> str:
    """Digest of the path, size and mtime of every file, and of the preprocessing."""
    digest = hashlib.sha256(json.dumps(preprocessing.describe(), sort_keys=True).encode())
    for file in files:
        digest.update(f"{file.path}\0{file.size}\0{file.mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


def open_store(
    files: Sequence[ImageFile],
    preprocessing: Preprocessing,
    *,
    cache: Path,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ImageStore:
    """Open the store of these files in `cache`; build it if it does not exist.

    Args:
        files: Files in the order of the store's rows.
        preprocessing: How they become pixels.
        cache: Folder of all stores; made if missing.
        workers: Decoding threads (decoding releases the interpreter lock); default: one per core.
        progress: Called repeatedly while decoding.

    Raises:
        FingerprintsError: If the cache folder cannot be written, or file names are not UTF-8.
    """
    require_writable([file.name for file in files])
    folder = cache / store_key(files, preprocessing)
    built = False
    if not folder.is_dir():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with locked(folder.with_suffix(".lock")):
                if not folder.is_dir():
                    _build(folder, files, preprocessing, workers=workers, progress=progress)
                    built = True
        except OSError as error:
            raise FingerprintsError(
                f"The image store cannot be written: {error.strerror or error}.",
                where=cache,
                fix="give a folder that can be written and has room for "
                f"{len(files) * preprocessing.size**2 / 1e6:,.0f} MB: paths.store=DIR",
            ) from error
    facts = json.loads((folder / "store.json").read_text())
    return ImageStore(
        folder=folder,
        images=np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False),
        digests=np.load(folder / "digests.npy", allow_pickle=False),
        native_sizes=np.load(folder / "native_sizes.npy", allow_pickle=False),
        errors={int(row): why for row, why in facts["errors"].items()},
        built=built,
        narrow=tuple(facts["narrow"]),
        paths=tuple(file.path for file in files),
    )


def _build(
    folder: Path,
    files: Sequence[ImageFile],
    preprocessing: Preprocessing,
    *,
    workers: int | None,
    progress: Progress | None,
) -> None:
    for stale in folder.parent.glob(f"{folder.name}.*.part"):  # we hold the lock: its writer was killed
        shutil.rmtree(stale)
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    part.mkdir()
    try:
        size, n = preprocessing.size, len(files)
        images = new_array(part / "images.npy", (n, size, size), np.uint8)
        digests = np.zeros(n, dtype="S32")
        native_sizes = np.zeros((n, 2), dtype=np.int32)
        errors: dict[int, str] = {}
        narrow: list[int] = []
        shown = time.monotonic()
        with interruptible(ThreadPoolExecutor(workers or os.cpu_count())) as pool:
            for row, result in enumerate(pool.map(lambda f: _try_decode(f.path, preprocessing), files)):
                if isinstance(result, str):
                    errors[row] = result
                else:
                    images[row] = result.pixels
                    digests[row] = result.digest.hex().encode()
                    native_sizes[row] = result.native_size
                    narrow += [row] if result.narrow else []
                if progress is not None and (row + 1 == n or time.monotonic() - shown > 0.1):
                    shown = time.monotonic()
                    progress("decoding images", row + 1, n)
        images.flush()
        np.save(part / "digests.npy", digests)
        np.save(part / "native_sizes.npy", native_sizes)
        facts = {"preprocessing": preprocessing.describe(), "images": n, "errors": errors, "narrow": narrow}
        (part / "store.json").write_text(json.dumps(facts, indent=1))
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def new_array(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> np.memmap:
    """A writable memory map of zeros; its space on the disk is reserved."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    with path.open("r+b") as handle:
        # Otherwise, a full disk would kill the process at the first write.
        os.posix_fallocate(handle.fileno(), 0, os.fstat(handle.fileno()).st_size)
    return array


def _try_decode(path: str, preprocessing: Preprocessing) -> Decoded | str:
    try:
        return decode(path, preprocessing)
    except Exception as error:  # PIL raises OSError, SyntaxError, ValueError, struct.error and more
        return str(why_unusable(path, error))


@contextmanager
def interruptible(pool: ThreadPoolExecutor) -> Iterator[ThreadPoolExecutor]:
    """A pool that drops the tasks still waiting when the block ends, also after an error."""
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
