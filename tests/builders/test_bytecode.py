"""Bytecode is the same bits each time, and Python takes it without looking at a clock."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING

import bytecode
import pytest
import splitter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_CACHE_TAG = sys.implementation.cache_tag
_SOURCES = {
    "a.py": 'NAMES = {"x", "y", "z"}\n\n\ndef f(x: int = 1) -> int:\n    return x + 1\n',
    "pkg/__init__.py": "",
    "pkg/ünïcode.py": "grüße = 'ß'\n",
    "pkg/template.py": "{% if this %} is no Python {% endif %}\n",
    "pkg/old.py": "print 'two'\n",
    "pkg/latin.py": "",
}


def _write(root: Path) -> None:
    for name, text in _SOURCES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "pkg/latin.py").write_bytes(b"name = 'caf\xe9'\n")


def _compile(root: Path, names: Iterable[str] = _SOURCES) -> dict[str, bytes]:
    subprocess.run(
        [sys.executable, "-s", "-B", "-S", bytecode.__file__, str(root), "/usr/local/lib"],
        input="\n".join(names).encode(),
        env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        check=True,
        capture_output=True,
    )
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.pyc")}


def test_two_compilations_in_different_folders_are_equal(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two/deeper/and-longer"):
        _write(tmp_path / name)
        found.append(_compile(tmp_path / name))
    assert found[0] == found[1]
    assert set(found[0]) == {
        f"__pycache__/a.{_CACHE_TAG}.pyc",
        f"pkg/__pycache__/__init__.{_CACHE_TAG}.pyc",
        f"pkg/__pycache__/ünïcode.{_CACHE_TAG}.pyc",
    }, "what does not compile is left alone"


def test_the_folder_of_the_build_is_not_in_it(tmp_path: Path) -> None:
    _write(tmp_path)
    compiled = _compile(tmp_path)
    assert all(str(tmp_path).encode() not in data for data in compiled.values())
    assert b"/usr/local/lib/a.py" in compiled[f"__pycache__/a.{_CACHE_TAG}.pyc"]


def test_it_is_of_the_unchecked_hash_kind(tmp_path: Path) -> None:
    _write(tmp_path)
    for data in _compile(tmp_path).values():
        assert data[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(data[4:8], "little") == 0b01, "PEP 552: hash-based, not checked"


def test_python_loads_it_even_when_the_source_is_newer(tmp_path: Path) -> None:
    _write(tmp_path)
    _compile(tmp_path)
    (tmp_path / "a.py").write_text("raise SystemExit('compiled again')\n")
    command = [sys.executable, "-B", "-c", "import a; print(a.f())"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "2\n"


@pytest.mark.parametrize(
    ("flags", "then"), [(3, 1), (1, 1), (0, 0)], ids=["checked", "unchecked", "by-time-is-left-alone"]
)
def test_the_checked_kind_is_turned_into_the_unchecked_one(tmp_path: Path, flags: int, then: int) -> None:
    path = tmp_path / "x.pyc"
    path.write_bytes(importlib.util.MAGIC_NUMBER + flags.to_bytes(4, "little") + b"12345678rest")
    splitter.mark_unchecked(path)
    assert path.read_bytes() == importlib.util.MAGIC_NUMBER + then.to_bytes(4, "little") + b"12345678rest"


def test_bytecode_is_found_by_its_source() -> None:
    paths = ["x/__pycache__/m.cpython-313.pyc", "x/__pycache__/m.cpython-313.opt-1.pyc", "x/m.pyc", "y/z.py"]
    assert splitter.bytecode_by_source(paths) == {
        "x/m.py": ["x/__pycache__/m.cpython-313.opt-1.pyc", "x/__pycache__/m.cpython-313.pyc"]
    }
