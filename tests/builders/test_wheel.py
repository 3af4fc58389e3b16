"""Wheels as pip would lay them out, less the clocks."""

from __future__ import annotations

import csv
import io
import json
import stat
from typing import TYPE_CHECKING

import archive
import foreign
import pytest
import wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SITE = "usr/local/lib/python3.13/site-packages"
_INFO = "Tiny_Thing-1.0.dist-info"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty folder to install into."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def _files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_modules_data_headers_and_scripts_go_where_pip_puts_them(
    make_wheel: Callable[..., Path], root: Path
) -> None:
    built = make_wheel(
        {
            "tiny/__init__.py": "x = 1\n",
            "tiny/data.txt": "data",
            "Tiny_Thing-1.0.data/scripts/tool": "#!python\nprint(1)\n",
            "Tiny_Thing-1.0.data/scripts/shell": "#!/bin/sh\n",
            "Tiny_Thing-1.0.data/data/share/tiny.conf": "conf",
            "Tiny_Thing-1.0.data/headers/tiny.h": "/* */",
            "Tiny_Thing-1.0.data/platlib/tiny_plat.py": "",
        }
    )
    assert wheel.unpack(built, "3.13", root)[0] == {"name": "Tiny.Thing", "version": "1.0"}
    assert _files(root) == {
        f"{_SITE}/tiny/__init__.py",
        f"{_SITE}/tiny/data.txt",
        f"{_SITE}/tiny_plat.py",
        *(f"{_SITE}/{_INFO}/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "WHEEL")),
        "usr/local/bin/tool",
        "usr/local/bin/shell",
        "usr/local/share/tiny.conf",
        "usr/local/include/site/python3.13/Tiny_Thing/tiny.h",
    }
    assert (root / "usr/local/bin/tool").read_text() == "#!/usr/local/bin/python\nprint(1)\n"
    assert (root / "usr/local/bin/shell").read_text() == "#!/bin/sh\n"
    assert (root / "usr/local/bin/tool").stat().st_mode & stat.S_IXUSR


def test_entry_points_become_programs_of_the_images_python(
    make_wheel: Callable[..., Path], root: Path
) -> None:
    built = make_wheel(
        {"tiny/__init__.py": ""},
        entry_points="""
            [console_scripts]
            tiny = tiny:main
            [gui_scripts]
            tiny-gui = tiny.gui:main
            [other]
            x = y
        """.replace(" " * 12, ""),
    )
    wheel.unpack(built, "3.13", root)
    for program, function in (("tiny", "tiny"), ("tiny-gui", "tiny.gui")):
        text = (root / "usr/local/bin" / program).read_text()
        assert text.startswith("#!/usr/local/bin/python\n")
        assert f"from {function} import main" in text
    assert _files(root) & {"usr/local/bin/x", "usr/local/bin/y"} == set()


def test_the_record_names_what_was_installed(make_wheel: Callable[..., Path], root: Path) -> None:
    built = make_wheel({"tiny/__init__.py": ""}, entry_points="[console_scripts]\ntiny = tiny:main\n")
    wheel.unpack(built, "3.13", root)
    rows = csv.reader(io.StringIO((root / _SITE / _INFO / "RECORD").read_text()))
    recorded = {(root / _SITE / path).resolve().relative_to(root.resolve()).as_posix() for path, *_ in rows}
    assert recorded == _files(root)
    assert (root / _SITE / _INFO / "INSTALLER").read_text() == "cog-nix\n"


def test_namespace_packages_of_two_wheels_share_a_folder(make_wheel: Callable[..., Path], root: Path) -> None:
    for name in ("space_a", "space_b"):
        wheel.unpack(make_wheel({f"space/{name}.py": ""}, name=name), "3.13", root)
    assert {path for path in _files(root) if "/space/" in path} == {
        f"{_SITE}/space/space_a.py",
        f"{_SITE}/space/space_b.py",
    }


def test_a_wheel_without_a_record_is_refused(make_wheel: Callable[..., Path], root: Path) -> None:
    with pytest.raises(foreign.ForeignFileError, match=r"\.whl: this wheel cannot be read"):
        wheel.unpack(make_wheel({"tiny.py": ""}, record=False), "3.13", root)


def test_two_installations_are_the_same_bits(
    make_wheel: Callable[..., Path], tmp_path: Path, read: Callable[..., object]
) -> None:
    built = make_wheel(
        {"tiny/__init__.py": "", "Tiny_Thing-1.0.data/scripts/tool": "#!python\n"},
        entry_points="[console_scripts]\ntiny = tiny:main\n",
    )
    layers = []
    for name in ("one", "another-name"):
        folder = tmp_path / name
        folder.mkdir()
        wheel.unpack(built, "3.13", folder)
        archive.write_fragment(tmp_path / f"{name}-fragment", archive.from_tree(folder), "tiny")
        layers.append(read(tmp_path / f"{name}-fragment"))
    assert layers[0] == layers[1]


@pytest.mark.parametrize(
    ("origin", "described"),
    [
        pytest.param(
            "git+https://example.org/a.git@0123#subdirectory=python",
            {
                "url": "https://example.org/a.git",
                "vcs_info": {"vcs": "git", "commit_id": "0123"},
                "subdirectory": "python",
            },
            id="git",
        ),
        pytest.param(
            "file:///src/a-1.0.tar.gz#sha256=00",
            {
                "url": "file:///src/a-1.0.tar.gz",
                "archive_info": {"hash": "sha256=00", "hashes": {"sha256": "00"}},
            },
            id="archive",
        ),
    ],
)
def test_a_direct_reference_is_written_down_for_pip(
    make_wheel: Callable[..., Path], root: Path, origin: str, described: dict[str, object]
) -> None:
    found, _ = wheel.unpack(make_wheel({"tiny.py": ""}), "3.13", root, origin=origin)
    assert found["origin"] == origin
    assert json.loads((root / _SITE / _INFO / "direct_url.json").read_text()) == described


def test_a_file_that_would_land_outside_is_refused(make_wheel: Callable[..., Path], root: Path) -> None:
    built = make_wheel({"tiny/__init__.py": "", "../../outside": "x"})
    with pytest.raises(foreign.ForeignFileError, match=r"\.\./\.\./outside outside of the target"):
        wheel.unpack(built, "3.13", root)
    assert not list(root.rglob("outside"))


@pytest.mark.parametrize(
    ("name", "path", "compiled"),
    [
        ("numpy", "numpy/_core/tests/test_dtype.py", False),
        ("numpy", "numpy/_core/tests/_natype.py", True),
        ("sympy", "sympy/polys/tests/sub/test_rings.py", False),
        ("django", "django/test/test_nothing.py", False),
        ("torch", "torch/testing/_internal/test_module.py", True),
        ("one", "one/test_harness.py", True),
        ("pip", "pip/__init__.py", False),
    ],
)
def test_tests_of_packages_and_pip_get_no_bytecode(name: str, path: str, *, compiled: bool) -> None:
    paths = [f"{_SITE}/{path}"]
    assert wheel.compiled_modules(name, paths) == (paths if compiled else [])
