"""What a build has otherwise: each command line is run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cog_nix.compare import surroundings
from cog_nix.compare.rebuild import copy
from cog_nix.compare.surroundings import MEMORY, Surroundings, checked, everything
from cog_nix.errors import ConfigError
from cog_nix.system import scratch


def said(how: Surroundings, script: str) -> str:
    command = how.command(["sh", "-c", script])
    return subprocess.check_output(command, env=how.environment(os.environ), text=True).strip()


def test_the_time_zone_and_the_locale_are_other_ones() -> None:
    how = Surroundings(time_zone="Pacific/Chatham", locale="tr_TR.ISO8859-9")
    assert said(how, "echo $TZ $LC_ALL $LANG") == "Pacific/Chatham tr_TR.ISO8859-9 tr_TR.ISO8859-9"


def test_the_umask_and_the_processors_are_other_ones() -> None:
    assert said(Surroundings(umask=0o77), "umask") in {"0077", "077"}
    if len(os.sched_getaffinity(0)) > 1:
        assert said(Surroundings(processors=1), "nproc") == "1"


def test_the_user_is_another_one_and_not_root() -> None:
    if surroundings._no_users():
        pytest.skip("this machine makes no user namespaces")
    assert said(Surroundings(user=4711), "id -u; id -g; echo $USER") == "4711\n4711\nsomebody"


def test_all_of_it_at_once() -> None:
    (how,), lacking = everything(Surroundings(), [])
    assert said(how, "echo $TZ") == "Pacific/Chatham"
    assert bool(how.user) == (not [one for one in lacking if one.startswith("user")])
    assert "TZ=Pacific/Chatham" in how.title


def test_each_nix_builds_once_and_what_is_asked_for_stays() -> None:
    nixes = [Path("/opt/one"), Path("/opt/two")]
    found, _ = everything(Surroundings(user=1234, time_zone="Asia/Tokyo"), nixes)
    assert [one.nix for one in found] == [None, *nixes]
    assert {one.user for one in found} == {1234}
    assert {one.time_zone for one in found} == {"Asia/Tokyo"}


def test_the_nix_is_the_one_that_is_named() -> None:
    assert Surroundings(nix=Path("/opt/nix/bin")).environment({})["COG_NIX_NIX"] == "/opt/nix/bin"
    with pytest.raises(ConfigError, match="there is no nix-build"):
        checked(Surroundings(nix=Path("/opt/missing")))


def test_what_cannot_be_had_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="--user: there is no unshare"):
        checked(Surroundings(user=1))
    with pytest.raises(ConfigError, match="--cpus: there is no taskset"):
        checked(Surroundings(processors=1))


def test_a_copy_has_the_project_and_nothing_of_its_builds(tmp_path: Path) -> None:
    source = tmp_path / "model"
    (source / ".cog").mkdir(parents=True)
    (source / ".git").mkdir()
    (source / "weights").mkdir()
    (source / "weights/large").write_bytes(bytes(2 << 20))
    (source / "run.py").write_text("a = 1\n")
    (source / "run.py").chmod(0o755)
    (source / "link").symlink_to("run.py")
    (source / "result").symlink_to("/nix/store/x")
    copy(source, tmp_path / "copy")
    found = sorted(path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*"))
    assert found == ["link", "run.py", "weights", "weights/large"]
    assert (tmp_path / "copy/link").readlink() == Path("run.py")
    assert (tmp_path / "copy/run.py").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "copy/weights/large").samefile(source / "weights/large")


def test_files_are_listed_in_another_order(tmp_path: Path) -> None:
    if surroundings._no_order():
        pytest.skip("there is no file system in memory")
    source = tmp_path / "model"
    source.mkdir()
    for name in "abcdef":
        (source / name).write_text(name)
    with scratch.folder("test", MEMORY) as folder:
        copy(source, folder / "forwards")
        copy(source, folder / "backwards", backwards=True)
        listed = [os.listdir(folder / name) for name in ("forwards", "backwards")]  # noqa: PTH208 - as they come
    assert listed[0] == listed[1][::-1]
