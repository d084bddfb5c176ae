"""The image store: decoded once, addressed by content, whole or absent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.data import store as store_module
from fingerprints.data.decode import Preprocessing, decode
from fingerprints.data.layout import ImageFile, Source, scan
from fingerprints.data.store import ImageStore, open_store, store_key

COUNT = 12
SIZE = Preprocessing(32)

BUILD = """
import sys, time, os, signal
from pathlib import Path
from fingerprints.data import store
from fingerprints.data.decode import Preprocessing
from fingerprints.data.layout import Source, scan

images, cache, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
plain, calls = store.decode, []

def slow(path, preprocessing):
    calls.append(path)
    if mode == "die" and len(calls) > 6:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return plain(path, preprocessing)

store.decode = slow
files = scan(images, [Source("*", "real", "train")])
Path(sys.argv[4]).touch()
while mode == "race" and not (cache.parent / "go").exists():
    time.sleep(0.005)
opened = store.open_store(files, Preprocessing(32), cache=cache, workers=1)
print(opened.built, opened.folder.name, int(opened.images.sum()), len(calls))
"""


@pytest.fixture
def images(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    for number in range(COUNT):
        write_image(tmp_path / "images" / f"{number:02d}.png", number, size=40)
    return tmp_path / "images"


@pytest.fixture
def build(tmp_path: Path, images: Path) -> Callable[[str, str], subprocess.Popen[str]]:
    script = tmp_path / "build.py"
    script.write_text(BUILD)

    def start(mode: str, name: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            str(script),
            str(images),
            str(tmp_path / "cache"),
            mode,
            str(tmp_path / name),
        ]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def listed(images: Path) -> list[ImageFile]:
    return scan(images, [Source("*", "real", "train")])


def opened(images: Path, cache: Path, preprocessing: Preprocessing = SIZE) -> ImageStore:
    return open_store(listed(images), preprocessing, cache=cache)


def test_rows_are_the_files_in_their_order(tmp_path: Path, images: Path) -> None:
    files = listed(images)[::-1]
    store = open_store(files, SIZE, cache=tmp_path / "cache", workers=3)
    expected = [decode(file.path, SIZE) for file in files]
    assert store.built
    assert np.array_equal(store.images, np.stack([e.pixels for e in expected]))
    assert [d.decode() for d in store.digests] == [e.digest.hex() for e in expected]
    assert store.native_sizes.tolist() == [[40, 40]] * COUNT
    assert store.errors == {}
    with pytest.raises(ValueError, match="read-only"):
        store.images[0, 0, 0] = 1


def test_second_opening_decodes_nothing(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(images, tmp_path / "cache")

    def refuse(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(store_module, "decode", refuse)
    second = opened(images, tmp_path / "cache")
    assert not second.built
    assert second.folder == first.folder
    assert np.array_equal(second.images, first.images)
    assert np.array_equal(second.digests, first.digests)


def test_key_follows_files_and_preprocessing(
    images: Path, monkeypatch: pytest.MonkeyPatch, write_image: Callable[..., Path]
) -> None:
    first = store_key(listed(images), SIZE)
    assert store_key(listed(images), SIZE) == first
    keys = {first, store_key(listed(images), Preprocessing(31)), store_key(listed(images)[::-1], SIZE)}
    target = images / "03.png"
    stat = target.stat()
    os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    keys.add(store_key(listed(images), SIZE))
    target.write_bytes(target.read_bytes() + b" ")
    os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    keys.add(store_key(listed(images), SIZE))
    target.rename(images / "99.png")
    keys.add(store_key(listed(images), SIZE))
    monkeypatch.setattr("fingerprints.data.decode.DECODER_VERSION", 99)
    keys.add(store_key(listed(images), SIZE))
    assert len(keys) == 7


def test_changed_file_is_decoded_anew(tmp_path: Path, images: Path, write_image: Callable[..., Path]) -> None:
    before = opened(images, tmp_path / "cache")
    write_image(images / "03.png", 77, size=40)
    os.utime(images / "03.png", ns=(0, 123))
    after = opened(images, tmp_path / "cache")
    assert after.built
    assert [i for i in range(COUNT) if not np.array_equal(before.images[i], after.images[i])] == [3]


def test_unreadable_files_are_recorded(tmp_path: Path, images: Path) -> None:
    (images / "02.png").write_bytes(b"")
    (images / "05.png").write_bytes(b"no image at all")
    whole = (images / "07.png").read_bytes()
    (images / "07.png").write_bytes(whole[:-60])
    for built in (True, False):
        store = opened(images, tmp_path / "cache")
        assert store.built is built
        assert sorted(store.errors) == [2, 5, 7]
        assert store.errors[2] == "cannot be read: the file is empty"
        assert "not PNG, JPEG, BMP or TIFF" in store.errors[5]
        assert "truncated" in store.errors[7]
        assert str(images) not in " ".join(store.errors.values())
        assert store.native_sizes[[2, 5, 7]].tolist() == [[0, 0]] * 3
        assert np.array_equal(store.images[3], decode(images / "03.png", SIZE).pixels)


def test_progress_ends_at_all_images(tmp_path: Path, images: Path) -> None:
    seen: list[tuple[int, int]] = []
    open_store(
        listed(images),
        SIZE,
        cache=tmp_path / "cache",
        progress=lambda _, done, total: seen.append((done, total)),
    )
    assert seen[-1] == (COUNT, COUNT)


def test_derived_array_is_computed_once(tmp_path: Path, images: Path) -> None:
    calls = []

    def compute() -> np.ndarray:
        calls.append(1)
        return np.arange(5)

    for _ in range(2):
        assert opened(images, tmp_path / "cache").cached("five", compute).tolist() == [0, 1, 2, 3, 4]
    assert len(calls) == 1


def test_interrupted_build_leaves_nothing(tmp_path: Path, images: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_store(listed(images), SIZE, cache=tmp_path / "cache", progress=interrupt)
    assert [p.name for p in (tmp_path / "cache").iterdir() if p.is_dir()] == []
    assert opened(images, tmp_path / "cache").built


def test_killed_build_looks_unfinished_and_the_next_one_cleans_up(
    tmp_path: Path, images: Path, build: Callable[[str, str], subprocess.Popen[str]]
) -> None:
    process = build("die", "ready")
    process.communicate(timeout=60)
    assert process.returncode == -9
    cache, key = tmp_path / "cache", store_key(listed(images), SIZE)
    assert not (cache / key).exists()
    assert [p.suffix for p in cache.iterdir() if p.is_dir()] == [".part"]
    store = opened(images, cache)
    assert store.built
    assert np.array_equal(store.images, np.stack([decode(f.path, SIZE).pixels for f in listed(images)]))
    assert [p.name for p in cache.iterdir() if p.is_dir()] == [key]


def test_two_processes_build_one_store(
    tmp_path: Path, images: Path, build: Callable[[str, str], subprocess.Popen[str]]
) -> None:
    processes = [build("race", name) for name in ("one", "two")]
    deadline = time.monotonic() + 60
    while not all((tmp_path / name).exists() for name in ("one", "two")) and time.monotonic() < deadline:
        time.sleep(0.01)
    (tmp_path / "go").touch()
    answers = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        answers.append(out.split())
    built, folders, sums, calls = zip(*answers, strict=True)
    assert sorted(built) == ["False", "True"]
    assert sorted(calls, key=int) == ["0", str(COUNT)]
    assert len(set(folders)) == len(set(sums)) == 1
    assert sum(p.is_dir() for p in (tmp_path / "cache").iterdir()) == 1


def test_cache_that_cannot_be_written_is_named(tmp_path: Path, images: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FingerprintsError, match="cannot be written") as error:
        opened(images, tmp_path / "file" / "cache")
    assert str(tmp_path / "file") in str(error.value)
    assert "paths.store" in str(error.value)


def test_names_that_are_not_utf_8_are_refused_before_any_work(images: Path, tmp_path: Path) -> None:
    files = scan(images, [Source("*", "real", "train")])
    with pytest.raises(FingerprintsError, match=r"1 file name\(s\) are not UTF-8"):
        open_store([*files, files[0]._replace(name="\udce4.png")], SIZE, cache=tmp_path / "store")
    assert not (tmp_path / "store").exists()
