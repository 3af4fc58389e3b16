"""What of a relocatable CPython's archive an image gets."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import failure
import foreign
import pytest
import standalone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LIBRARY = "python/lib/python3.12"


def _archive(folder: Path, files: Mapping[str, bytes | str | tarfile.TarInfo]) -> Path:
    """Write an archive; text is the target of a link."""
    path = folder / "cpython.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def _names(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}


def test_a_python_is_unpacked_without_its_top_folder(tmp_path: Path) -> None:
    hard = tarfile.TarInfo("python/bin/again")
    hard.type, hard.linkname = tarfile.LNKTYPE, "python/bin/python3.12"
    content: dict[str, bytes | str | tarfile.TarInfo] = {
        "python/bin/python3.12": b"ELF",
        "python/bin/python3": "python3.12",
        "python/bin/again": hard,
        "python/include/python3.12/Python.h": b"",
        f"{_LIBRARY}/os.py": b"",
    }
    standalone.unpack(_archive(tmp_path, content), tmp_path / "root")
    assert _names(tmp_path / "root") == {name.removeprefix("python/") for name in content}
    assert (tmp_path / "root/bin/again").read_bytes() == b"ELF"
    assert (tmp_path / "root/bin/python3").readlink().name == "python3.12"


@pytest.mark.parametrize(
    "name",
    [
        "bin/pip3.12",
        "bin/idle3",
        "share/man/man1/python3.12.1",
        "share/terminfo/x/xterm",
        "lib/libtcl9.0.so",
        "lib/libtcl9tk9.0.so",
        "lib/tk8.6/tk.tcl",
        "lib/itcl4.3.5/itcl.tcl",
        "lib/python3.12/EXTERNALLY-MANAGED",
        "lib/python3.12/__pycache__/os.cpython-312.pyc",
        "lib/python3.12/config-3.12-x86_64-linux-gnu/libpython3.12.a",
        "lib/python3.12/idlelib/__init__.py",
        "lib/python3.12/lib-dynload/_tkinter.cpython-312-x86_64-linux-gnu.so",
        "lib/python3.12/site-packages/pip/__init__.py",
        "lib/python3.12/test/support/__init__.py",
        "lib/python3.12/tkinter/__init__.py",
        "lib/python3.12/unittest/test/test_case.py",
    ],
)
def test_left_out(tmp_path: Path, name: str) -> None:
    standalone.unpack(
        _archive(tmp_path, {f"python/{name}": b"", f"{_LIBRARY}/os.py": b""}), tmp_path / "root"
    )
    assert _names(tmp_path / "root") == {"lib/python3.12/os.py"}


@pytest.mark.parametrize(
    "name",
    [
        "bin/pydoc3.12",
        "bin/python3.12-config",
        "lib/libpython3.12.so.1.0",
        "lib/pkgconfig/python3.pc",
        "lib/python3.12/config-3.12-x86_64-linux-gnu/Makefile",
        "lib/python3.12/ctypes/_endian.py",
        "lib/python3.12/ensurepip/_bundled/pip-24.0-py3-none-any.whl",
        "lib/python3.12/lib-dynload/_crypt.cpython-312-x86_64-linux-gnu.so",
        "lib/python3.12/threading.py",
        "lib/python3.12/this.py",
        "lib/python3.12/unittest/mock.py",
        "lib/python3.12/venv/__init__.py",
    ],
)
def test_kept(tmp_path: Path, name: str) -> None:
    standalone.unpack(_archive(tmp_path, {f"python/{name}": b""}), tmp_path / "root")
    assert _names(tmp_path / "root") == {name}


def test_what_lies_beside_the_python_is_left_out(tmp_path: Path) -> None:
    standalone.unpack(_archive(tmp_path, {"PYTHON.json": b"", f"{_LIBRARY}/os.py": b""}), tmp_path / "root")
    assert _names(tmp_path / "root") == {"lib/python3.12/os.py"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("python/../../outside", b"", id="name"),
        pytest.param("python/bin/python3", "/etc/passwd", id="absolute-link"),
        pytest.param("python/bin/python3", "../../../outside", id="link-that-leads-out"),
    ],
)
def test_what_leads_outside_ends_the_build(tmp_path: Path, name: str, content: bytes | str) -> None:
    with pytest.raises(foreign.ForeignFileError, match=r"outside the destination|absolute path"):
        standalone.unpack(_archive(tmp_path, {name: content}), tmp_path / "root")
    assert not (tmp_path.parent / "outside").exists()


def test_the_names_that_everybody_calls_are_there(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib/python3.12").mkdir(parents=True)
    (tmp_path / "bin/python3.12").write_text("")
    (tmp_path / "bin/python3").write_text("a wrapper")
    standalone.complete(tmp_path, "3.12")
    for name in ("python", "python3"):
        assert str((tmp_path / "bin" / name).readlink()) == "python3.12"
    assert (tmp_path / "lib/python3.12/site-packages").is_dir()


def test_another_version_than_was_asked_for_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3.11").write_text("")
    with pytest.raises(failure.BuildError, match=r"it is not a Python 3\.12"):
        standalone.complete(tmp_path, "3.12")


@pytest.mark.parametrize(
    ("former", "expected"),
    [
        pytest.param("/install", ["install"], id="of-a-build"),
        pytest.param("/usr", [], id="of-debian"),
        pytest.param("/usr/local", [], id="the-same"),
    ],
)
def test_the_prefix_that_is_compiled_in_leads_to_usr_local(
    tmp_path: Path, former: str, expected: list[str]
) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/python3.12").write_text("")
    (tmp_path / "usr/lib").mkdir()
    (tmp_path / "usr/lib/x86_64-linux-gnu").symlink_to("/the/seeds")
    entries = {entry.path: entry for entry in standalone.entries(tmp_path, former)}
    links = [path for path, entry in entries.items() if entry.target == "/usr/local"]
    assert links == expected
    assert "usr/local/bin/python3.12" in entries
    assert entries["usr/sbin/tini"].target == "../bin/tini"
    assert not [path for path in entries if "x86_64" in path]
