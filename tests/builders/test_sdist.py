"""Sources on their way into a build, and wheels on their way out; tests/hooks/pypi has whole builds."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archive
import backend
import failure
import foreign
import pytest
import sdist

if TYPE_CHECKING:
    from collections.abc import Callable

_BACKEND = Path(backend.__file__)


def _tar(path: Path, *names: str) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if name.endswith(".sh") else 0o644
            info.mtime = 1_700_000_000
            tar.addfile(info, io.BytesIO())


def _zip(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as opened:
        for name in names:
            info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            info.external_attr = (0o755 if name.endswith(".sh") else 0o644) << 16
            opened.writestr(info, "")


@pytest.mark.parametrize("pack", [pytest.param(_tar, id="tar"), pytest.param(_zip, id="zip")])
@pytest.mark.parametrize("top", ["a-1.0/", ""])
def test_a_source_is_unpacked_without_its_clock(tmp_path: Path, pack: Callable[..., None], top: str) -> None:
    pack(tmp_path / "it", f"{top}setup.py", f"{top}tools/make.sh")
    target = tmp_path / "work/a-1.0"
    sdist.unpack_source(tmp_path / "it", target)
    assert (target / "setup.py").stat().st_mtime == archive.MTIME
    assert os.access(target / "tools/make.sh", os.X_OK)
    assert not os.access(target / "setup.py", os.X_OK)
    assert [path.name for path in target.parent.iterdir()] == ["a-1.0"]


def test_a_source_cannot_write_elsewhere(tmp_path: Path) -> None:
    _tar(tmp_path / "it", "a/setup.py", "../../outside")
    with pytest.raises(foreign.ForeignFileError, match="outside the destination"):
        sdist.unpack_source(tmp_path / "it", tmp_path / "work/a")
    assert not (tmp_path.parent / "outside").exists()


def test_a_wheel_is_written_without_its_clock(tmp_path: Path) -> None:
    for name, date in (("one", (1999, 1, 1, 0, 0, 0)), ("two", (2024, 5, 5, 5, 5, 4))):
        with zipfile.ZipFile(tmp_path / f"{name}.whl", "w", zipfile.ZIP_DEFLATED) as opened:
            for member in ("b.py", "a/tool") if name == "one" else ("a/", "a/tool", "b.py"):
                info = zipfile.ZipInfo(member, date)
                info.external_attr = (0o775 if member == "a/tool" else 0o664) << 16
                opened.writestr(info, "" if member.endswith("/") else f"content of {member}")
        sdist.write_anew(tmp_path / f"{name}.whl", tmp_path / f"{name}-new.whl")
    assert (tmp_path / "one-new.whl").read_bytes() == (tmp_path / "two-new.whl").read_bytes()
    with zipfile.ZipFile(tmp_path / "one-new.whl") as opened:
        assert [(info.filename, info.external_attr >> 16 & 0o777) for info in opened.infolist()] == [
            ("a/tool", 0o755),
            ("b.py", 0o644),
        ]
        assert opened.read("a/tool") == b"content of a/tool"


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        pytest.param({}, None, id="as-locked"),
        pytest.param({"name": "Other"}, "the source of it builds a package called Other", id="name"),
        pytest.param({"version": "2"}, "the source of it 1 builds version 2", id="version"),
        pytest.param({"requires": ["a", "new", "it"]}, "it 1 turns out to require new", id="requirement"),
    ],
)
def test_what_was_built_is_compared_with_the_lock(metadata: dict[str, Any], message: str | None) -> None:
    known = {"name": "It", "version": "1", "requires": ["a"], **metadata}
    spec = {"name": "it", "version": "1", "depends": ["a", "b"]}
    if message is None:
        sdist.check(known, spec)
        return
    with pytest.raises(failure.BuildError, match=message):
        sdist.check(known, spec)


def test_only_what_is_required_everywhere_is_compared(tmp_path: Path) -> None:
    path = tmp_path / "tiny_thing-1.0-py3-none-any.whl"
    text = (
        "Metadata-Version: 2.1\nName: Tiny.Thing\nVersion: 1.0\n"
        "Requires-Dist: A_b.c[x]>=1\nRequires-Dist: d ; extra == 'x'\nRequires-Dist: e (>2)\n"
    )
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("tiny_thing-1.0.dist-info/METADATA", text)
    found = sdist.read_metadata(path)
    assert found["requires"] == ["a-b-c", "e"]


@pytest.mark.parametrize(
    ("version", "expected"), [pytest.param("1.2", "1.2", id="known"), pytest.param("0", None, id="unknown")]
)
def test_a_source_without_its_repository_is_told_its_version(version: str, expected: str | None) -> None:
    found = sdist.environment("a-b.c", version)
    assert found.get("SETUPTOOLS_SCM_PRETEND_VERSION_FOR_A_B_C") == expected
    assert found["SOURCE_DATE_EPOCH"] == str(archive.MTIME)


def _build(folder: Path, hooks: str, *named: str) -> subprocess.CompletedProcess[str]:
    (folder / "inside").mkdir()
    (folder / "inside/own.py").write_text(hooks)
    command = [sys.executable, str(_BACKEND), str(folder), str(folder), *(named or ("own:it", "inside"))]
    return subprocess.run(command, capture_output=True, text=True, check=False)


_HOOKS = """\
class it:
    @staticmethod
    def get_requires_for_build_wheel(settings):
        return {requires}

    @staticmethod
    def build_wheel(folder, settings, metadata):
        open(folder + "/it.whl", "w").close()
"""


@pytest.mark.parametrize(
    ("requires", "missing"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param(["pytest>=1", "Py_Test; x"], None, id="there"),
        pytest.param(["no-such-thing>=1", "pytest"], "asks for no-such-thing>=1, which", id="missing"),
    ],
)
def test_a_backend_in_the_source_is_called(tmp_path: Path, requires: list[str], missing: str | None) -> None:
    ran = _build(tmp_path, _HOOKS.format(requires=requires))
    assert (tmp_path / "it.whl").exists() == (missing is None), ran.stderr
    assert (missing or "") in ran.stderr
    assert not missing or "build_requires" in ran.stderr
