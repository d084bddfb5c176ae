"""Memory that is left, from files as Linux writes them, and refusals that say how much is needed."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from fingerprints.core import memory
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.memory import available_memory, in_words, require_memory

GB = 1024**3


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A root folder of a machine with 8 GiB left and no limits."""
    write(tmp_path, "proc/meminfo", f"MemTotal: {16 * GB // 1024} kB\nMemAvailable: {8 * GB // 1024} kB\n")
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "proc/self/statm", "1000 500 1 1 1 1 1\n")
    return tmp_path


def write(root: Path, name: str, content: object) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(f"{content}\n")


def test_without_limits_it_is_what_the_machine_has(machine: Path) -> None:
    assert available_memory(machine) == 8 * GB


def test_the_lowest_limit_above_the_process_counts(machine: Path) -> None:
    write(machine, "proc/self/cgroup", "0::/slurm/job_7/step")
    groups = machine / "sys/fs/cgroup/slurm"
    for name, limit in (("job_7/step", "max"), ("job_7", 4 * GB), (".", 6 * GB)):
        write(groups, f"{name}/memory.max", limit)
        write(groups, f"{name}/memory.current", 3 * GB)
        write(groups, f"{name}/memory.stat", f"anon 5\ninactive_file {GB}\nactive_file 7")
    assert available_memory(machine) == 2 * GB  # 4 - 3, and 1 of files that can be dropped


def test_a_container_sees_its_own_group_at_the_top(machine: Path) -> None:
    write(machine, "proc/self/cgroup", "0::/docker/path/of/the/host")
    write(machine, "sys/fs/cgroup/memory.max", 2 * GB)
    write(machine, "sys/fs/cgroup/memory.current", GB)
    assert available_memory(machine) == GB


@pytest.mark.parametrize(("limit", "left"), [(5 * GB, 4 * GB), (2**63 - 4096, 8 * GB)])
def test_control_groups_of_version_1(machine: Path, limit: int, left: int) -> None:
    write(machine, "proc/self/cgroup", "4:cpu,memory:/job\n2:cpuset:/other\n0::/\n")
    write(machine, "sys/fs/cgroup/memory/job/memory.limit_in_bytes", limit)
    write(machine, "sys/fs/cgroup/memory/job/memory.usage_in_bytes", 2 * GB)
    write(machine, "sys/fs/cgroup/memory/job/memory.stat", f"total_inactive_file {GB}")
    assert available_memory(machine) == left


def test_a_group_that_is_over_its_limit_leaves_nothing(machine: Path) -> None:
    write(machine, "sys/fs/cgroup/memory.max", GB)
    write(machine, "sys/fs/cgroup/memory.current", 2 * GB)
    assert available_memory(machine) == 0


def test_a_limit_of_the_shell_counts(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (GB, GB))
    assert available_memory(machine) == GB - 1000 * resource.getpagesize()


def test_a_system_that_says_little(tmp_path: Path) -> None:
    found = available_memory(tmp_path)  # all memory of this machine
    assert found is None or found > 0


def test_more_than_there_is_is_refused_in_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 2_000_000_000)
    require_memory(2_000_000_000, purpose="It", where="decision", fix="f")
    with pytest.raises(FingerprintsError, match=r"^It needs about 2\.1 GB of memory; 2\.0 GB are") as error:
        require_memory(2_100_000_000, purpose="It", where="decision", fix="use fewer images")
    assert "where: decision\n  fix:   use fewer images" in str(error.value)


@pytest.mark.parametrize("left", [None, 0])
def test_small_work_and_unknown_memory_are_not_refused(
    monkeypatch: pytest.MonkeyPatch, left: int | None
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: left)
    require_memory(memory.SMALL if left == 0 else 10**15, purpose="It", where="decision", fix="f")


def test_numbers_of_bytes_in_words() -> None:
    assert [in_words(size) for size in (0, 12_345_678, 1_234_000_000_000)] == ["0 MB", "12 MB", "1,234.0 GB"]
