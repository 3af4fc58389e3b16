"""Make a CPython that was built elsewhere say where it is, and compile extensions with what is here.

A build remembers its prefix and its compiler in ``_sysconfigdata_*.py``, which :mod:`sysconfig` reads and all
build backends through it; in JSON beside that (PEP 739); in the ``Makefile`` of its configuration; and in
pkg-config's files. python-build-standalone's prefix is ``/install`` and its compiler is a Clang of its own;
ours are ``/usr/local`` and Debian's GCC.
"""

from __future__ import annotations

import json
import pprint
import re
import runpy
from typing import TYPE_CHECKING, Any

from failure import BuildError

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = "# system configuration generated and used by the sysconfig module\n"
_PROGRAM = re.compile(
    r"(?:\S*/)?(?:\w+-linux-\w+-|musl-|llvm-)?(clang\+\+|clang|g\+\+|gcc|c\+\+|cc|ar|ranlib|nm)(?:-\d+)?"
)
_OURS = {"clang": "gcc", "cc": "gcc", "clang++": "g++", "c++": "g++"}
_BEGINS_WITH_PROGRAM = re.compile(
    r"CC|CXX|CPP|AR|RANLIB|NM|MAINCC|LINKCC|(LD|LDCXX|BLD)SHARED|PY_CORE_LD|PURIFY"
)
_OF_THE_SYSTEM = frozenset({"TZPATH"})
"""Variables that name the system's own folders, even where the prefix was the system's (PEP 615)."""
_UNKNOWN_TO_GCC = re.compile(
    r"-fdebug-default-version=.*|--target=.*|-Wunguarded-.*|-Werror=unguarded-.*|-fprofile-instr-.*"
    r"|-flto=thin|-fuse-ld=lld|--rtlib=.*"
)
_OF_THE_BUILDER = re.compile(r"--sysroot=.*|-[IL]/(tools|build)(/.*)?")
"""Flags that name folders of the machine which built it."""
_WITH_VALUE = frozenset({"-isysroot", "-isystem", "--sysroot", "-target", "-mllvm"})
"""The same, when the folder or value is the next word."""


def relocate(root: Path, prefix: str) -> str:
    """Rewrite what the Python below ``root`` remembers, for an installation at ``prefix``.

    Returns:
        The prefix that it was built for, which is compiled into the program as well.
    """
    found = [path for path in sorted(root.glob("lib/python*/_sysconfigdata_*.py")) if not path.is_symlink()]
    if not found:
        raise BuildError("the archive has no _sysconfigdata, so it is not a complete Python")
    previous = prefix
    for path in found:
        variables = runpy.run_path(str(path))["build_time_vars"]
        previous = str(variables.get("prefix", prefix))
        rewritten = rewrite(variables, previous, prefix)
        path.write_text(f"{_HEADER}build_time_vars = {pprint.pformat(rewritten)}\n")
    for pattern in ("_sysconfig_vars_*.json", "build-details.json"):
        for path in sorted(root.glob(f"lib/python*/{pattern}")):
            path.write_text(
                json.dumps(rewrite(json.loads(path.read_text()), previous, prefix), indent=2) + "\n"
            )
    for path in sorted(root.glob("lib/python*/config-*/Makefile")):
        path.write_text(makefile(path.read_text(), previous, prefix))
    for path in sorted(root.glob("lib/pkgconfig/*.pc")):
        if not path.is_symlink():
            path.write_text(re.sub(r"(?m)^prefix=.*$", f"prefix={prefix}", path.read_text()))
    return previous


def rewrite(value: Any, previous: str, prefix: str, name: str = "") -> Any:
    """Return a value, and all values in it, for another prefix and for GCC."""
    if isinstance(value, dict):
        return {key: rewrite(inner, previous, prefix, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [rewrite(inner, previous, prefix) for inner in value]
    return variable(name, value, previous, prefix) if isinstance(value, str) else value


def makefile(text: str, previous: str, prefix: str) -> str:
    """Return a Makefile with its assignments on one line rewritten: sysconfig's variables come from there."""

    def assignment(match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}{variable(match[1], match[3], previous, prefix)}"

    return re.sub(r"(?m)^(\w+)(=[ \t]*)([^\n]*[^\\\n])$", assignment, text)


def variable(name: str, value: str, previous: str, prefix: str) -> str:
    """Return the value of one variable; one that speaks of neither prefix nor compiler stays as it is."""
    if name in _OF_THE_SYSTEM:
        return value
    where = rf"(?:(?<=-I)|(?<=-L)|(?<=[\s'\"=,:])|^){re.escape(previous)}(?=[/\s'\",:]|$)"
    moved = re.sub(where, prefix, value)
    words = moved.split()
    kept = _fitting(words)
    if kept and _BEGINS_WITH_PROGRAM.fullmatch(name):
        program = _PROGRAM.fullmatch(kept[0])
        kept[0] = _OURS.get(program[1], program[1]) if program else kept[0]
    return moved if kept == words else " ".join(kept)


def _fitting(words: list[str]) -> list[str]:
    kept: list[str] = []
    value_follows = False
    for word in words:
        if value_follows:
            value_follows = False
        elif word in _WITH_VALUE:
            value_follows = True
        elif not _UNKNOWN_TO_GCC.fullmatch(word) and not _OF_THE_BUILDER.fullmatch(word):
            kept.append(word)
    return kept
