"""What owners of containers leave behind: it goes, and what is somebody's stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix_hooks.bundle import cgroups
from cog_nix_hooks.bundle.folders import new_name, owned

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
KEEPS = """
import os, sys
from pathlib import Path

from cog_nix_hooks.bundle.folders import new_name, owned

with owned(Path(sys.argv[1]), new_name()) as folder:
    (folder / "file").touch()
    print(folder.name, flush=True)
    sys.stdin.read()
    if sys.argv[2:]:
        os._exit(1)
"""


def names(containers: Path) -> list[str]:
    return sorted(path.name for path in containers.iterdir())


def test_a_folder_is_there_until_its_owner_leaves_it(tmp_path: Path) -> None:
    containers = tmp_path / "containers"
    with owned(containers, new_name()) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert names(containers) == [folder.name]
    assert names(containers) == []


@pytest.mark.parametrize("how", [[], ["abruptly"]], ids=["ended", "killed"])
def test_what_an_owner_left_goes_when_it_has_ended(how: list[str], tmp_path: Path) -> None:
    containers = tmp_path / "containers"
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'hooks'}"}
    command = [sys.executable, "-c", KEEPS, str(containers), *how]
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = other.stdout.readline().strip()
        with owned(containers, new_name()) as mine:
            assert names(containers) == sorted([theirs, mine.name])
    assert names(containers) == ([theirs] if how else [])
    with owned(containers, new_name()) as mine:
        assert names(containers) == [mine.name]


def test_what_was_begun_and_what_could_not_be_removed_goes(tmp_path: Path) -> None:
    containers = tmp_path / "containers"
    (containers / "cog-nix-7-begun").mkdir(parents=True)  # killed before it was locked
    (containers / ".left-cog-nix-8/inside").mkdir(parents=True)  # killed while it was removed
    (containers / "somebody's").mkdir()
    with owned(containers, new_name()) as mine:
        assert names(containers) == sorted([mine.name, "somebody's"])


def test_a_cgroup_that_is_not_empty_keeps_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_EMPTY_SECONDS", 0)
    containers, group = tmp_path / "containers", tmp_path / "group"
    (group / "process").mkdir(parents=True)
    left = containers / "cog-nix-7-left"
    left.mkdir(parents=True)
    (left / "cgroups.json").write_text(json.dumps([str(group), str(tmp_path / "gone")]))
    with owned(containers, new_name()):
        assert ".left-cog-nix-7-left" in names(containers)
    (group / "process").rmdir()
    with owned(containers, new_name()) as mine:
        assert names(containers) == [mine.name]
    assert not group.exists()


V1 = """\
30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
34 24 0:29 / /elsewhere rw - cgroup2 cgroup2 rw
"""
OF_V1 = "4:cpu,cpuacct:/user.slice\n1:name=systemd:/user.slice/a:b\n0::/user.slice/u\n"
V2 = "30 24 0:26 /outer /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], dict[str, str]]:
    """Return a function that tells the cgroups of a process with such files below /proc."""

    def find(mounts: str, own: str) -> dict[str, str]:
        root = tmp_path / "root"
        monkeypatch.setattr(cgroups, "ROOT", root)
        for path in ("cpu,cpuacct/user.slice", "systemd/user.slice/a:b", "unified/user.slice/u", "below/it"):
            (root / path).mkdir(parents=True, exist_ok=True)
        (tmp_path / "mountinfo").write_text(mounts.replace("/sys/fs/cgroup", str(root)))
        (tmp_path / "cgroup").write_text(own)
        return {one.name: str(one.folder.relative_to(root)) for one in cgroups.own(tmp_path)}

    return find


def test_cgroups_of_both_versions(at: Callable[[str, str], dict[str, str]]) -> None:
    assert at(V1, OF_V1) == {
        "cpu,cpuacct": "cpu,cpuacct/user.slice",
        "systemd": "systemd/user.slice/a:b",
        "unified": "unified/user.slice/u",
    }


@pytest.mark.parametrize(
    ("own", "folder"),
    [
        pytest.param("0::/outer/below/it\n", "below/it", id="below-what-is-mounted"),
        pytest.param("0::/outer/gone\n", ".", id="not-there"),
        pytest.param("0::/\n", ".", id="above-it"),
        pytest.param("0::/../../other\n", ".", id="outside-of-the-namespace"),
    ],
)
def test_a_cgroup_of_version_2_alone(own: str, folder: str, at: Callable[[str, str], dict[str, str]]) -> None:
    assert at(V2, own) == {"": folder}


def test_where_nothing_is_mounted_there_are_none(at: Callable[[str, str], dict[str, str]]) -> None:
    assert at("", "0::/\n") == {}
