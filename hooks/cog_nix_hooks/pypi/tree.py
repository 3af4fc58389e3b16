"""Reads what a source archive says about its project, without running any of it."""

from __future__ import annotations

import ast
import configparser
import email.parser
import re
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from cog_nix.elf.wheelfile import UNREADABLE
from cog_nix.system.jsonvalue import members
from cog_nix_hooks.pypi.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_LARGEST = 4_000_000
"""Bytes of a file that is worth reading here."""
_READ = ("pyproject.toml", "setup.py", "setup.cfg", "PKG-INFO", "meson.build", "Cargo.toml", "CMakeLists.txt")
_UNREADABLE: tuple[type[Exception], ...] = (tarfile.TarError, *UNREADABLE)
_COMPILED = {".c", ".cc", ".cpp", ".cu", ".cxx", ".pyx"}
_LEGACY_BACKEND = "setuptools.build_meta:__legacy__"


@dataclass(frozen=True)
class Tree:
    """The files of a project that say what it is and how it is built, by name."""

    texts: Mapping[str, str] = field(default_factory=dict)
    pyproject: Mapping[str, Any] = field(default_factory=dict)
    compiled: bool = False
    """Whether there is anything in it to compile."""

    @property
    def backend(self) -> str:
        """The build backend (PEP 517); setuptools where none is named."""
        return str(self._build_system.get("build-backend") or _LEGACY_BACKEND)

    @property
    def requires(self) -> tuple[str, ...]:
        """What the build needs before its backend can be asked (PEP 518)."""
        declared = self._build_system.get("requires")
        return _strings(declared) if declared is not None else ("setuptools>=40.8.0",)

    @property
    def name(self) -> str:
        """The project's normalised name, or "" when only running it would tell."""
        known = (
            self._project.get("name"),
            self._poetry.get("name"),
            self._pkg_info.get("Name"),
            self._setup_cfg("metadata", "name"),
            self._setup_argument("name"),
        )
        name = next((value for value in known if isinstance(value, str) and value), "")
        return canonicalize_name(name)

    @property
    def version(self) -> str:
        """The project's version, or "" when only running it would tell."""
        known = (
            self._pkg_info.get("Version"),
            self._project.get("version"),
            self._poetry.get("version"),
            self._setup_argument("version"),
        )
        return next((value for value in known if isinstance(value, str) and value), "")

    @property
    def dependencies(self) -> tuple[str, ...] | None:
        """What the project requires when installed, as far as it is written down; None: nothing says."""
        if "dependencies" in self._project:
            return _strings(self._project["dependencies"])
        if stated := self._pkg_info.get_all("Requires-Dist"):
            return tuple(stated)
        if "requires.txt" in self.texts:
            return tuple(_requires_txt(self.texts["requires.txt"]))
        if listed := self._setup_cfg("options", "install_requires"):
            return tuple(_lines(listed))
        literal = self._setup_argument("install_requires")
        if isinstance(literal, list | tuple):
            return _strings(literal)
        has_setup = "setup.py" in self.texts or "setup.cfg" in self.texts  # other backends ask elsewhere
        says_none = has_setup and not self._setup_passes("install_requires")
        return () if "PKG-INFO" in self.texts or says_none else None

    @property
    def setup_requires(self) -> tuple[str, ...]:
        """What ``setup_requires`` asks for, where it is written down as a list."""
        literal = self._setup_argument("setup_requires")
        stated = _strings(literal)
        return (*stated, *_lines(self._setup_cfg("options", "setup_requires")))

    @property
    def imports(self) -> frozenset[str]:
        """Modules that are not Python's own and that ``setup.py`` cannot start without."""
        found: set[str] = set()
        for node in self._setup.body:
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
        return frozenset(found - sys.stdlib_module_names)

    @property
    def _build_system(self) -> Mapping[str, Any]:
        return members(self.pyproject.get("build-system"))

    @property
    def _project(self) -> Mapping[str, Any]:
        return members(self.pyproject.get("project"))

    @property
    def _poetry(self) -> Mapping[str, Any]:
        return members(members(self.pyproject.get("tool")).get("poetry"))

    @property
    def _pkg_info(self) -> Any:
        return email.parser.HeaderParser().parsestr(self.texts.get("PKG-INFO", ""))

    def _setup_cfg(self, section: str, option: str) -> str:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(self.texts.get("setup.cfg", ""))
        except configparser.Error:
            return ""
        text = parser.get(section, option, fallback="")
        return "" if text.startswith(("attr:", "file:")) else text

    @property
    def _setup(self) -> ast.Module:
        try:
            return ast.parse(self.texts.get("setup.py", ""))
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deep
            return ast.Module([], [])

    def _setup_passes(self, argument: str) -> bool:
        return any(keyword.arg in {argument, None} for keyword in _setup_keywords(self._setup))

    def _setup_argument(self, argument: str) -> Any:
        """Return what ``setup()`` is given when that is a literal, or the name of one."""
        setup = self._setup
        assigned = {
            target.id: node.value
            for node in setup.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for keyword in _setup_keywords(setup):
            if keyword.arg == argument:
                value = keyword.value
                value = assigned.get(value.id, value) if isinstance(value, ast.Name) else value
                try:
                    return ast.literal_eval(value)
                except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                    return None  # as ast.literal_eval has it
        return None


def read_tree(archive: Path, subdirectory: str, what: str) -> Tree:
    """Read a source archive (PEP 625, or any tar or ZIP with one project).

    Args:
        archive: the file, whatever its name is.
        subdirectory: where in it the project is.
        what: how messages call it.

    Raises:
        SourceError: it is not an archive, or holds no project.
    """
    try:
        texts, compiled = _texts(archive, PurePosixPath(subdirectory))
    except _UNREADABLE as error:
        hint = "Name a .tar.gz or .zip."
        raise SourceError(what, f"is not a source archive: {error}", hint=hint) from error
    if not texts.keys() & {"pyproject.toml", "setup.py", "setup.cfg"}:
        raise SourceError(
            what,
            "holds no Python project: there is neither pyproject.toml nor setup.py at its top",
            hint="If it is deeper in there, append #subdirectory=FOLDER to its URL.",
        )
    try:
        pyproject = tomllib.loads(texts.get("pyproject.toml", ""))
    except (ValueError, RecursionError) as error:
        hint = "Name another version of it."
        raise SourceError(
            what, f"is broken: its pyproject.toml cannot be read: {error}", hint=hint
        ) from error
    return Tree(texts, pyproject, compiled)


def _texts(archive: Path, subdirectory: PurePosixPath) -> tuple[dict[str, str], bool]:
    """Return the files that count, by name, and whether any is to be compiled.

    Those of ``*.egg-info`` go by the name ``requires.txt``.
    """
    found: dict[PurePosixPath, str] = {}
    compiled: list[PurePosixPath] = []
    tops: set[str] = set()
    flat = False
    for name, read in _members(archive):
        path = PurePosixPath(name)
        if not path.parts:
            continue
        tops.add(path.parts[0])
        flat = flat or len(path.parts) == 1
        if path.name in {*_READ, "requires.txt"}:
            found[path] = read()
        elif path.suffix in _COMPILED:
            compiled.append(path)
    # An sdist has one folder at its top (PEP 625), the archive of a commit has none.
    base = PurePosixPath(*tops) if len(tops) == 1 and not flat else PurePosixPath()
    texts: dict[str, str] = {}
    for path, text in found.items():
        if path.is_relative_to(base / subdirectory):
            relative = path.relative_to(base / subdirectory)
            if str(relative) in _READ:
                texts[str(relative)] = text
            elif relative.name == "requires.txt" and relative.parent.name.endswith(".egg-info"):
                texts["requires.txt"] = text
    return texts, any(path.is_relative_to(base / subdirectory) for path in compiled)


def _members(archive: Path) -> Iterator[tuple[str, Any]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if not info.is_dir() and info.file_size <= _LARGEST:
                    yield (
                        info.filename,
                        lambda info=info: opened.read(info).decode("utf-8", "replace"),
                    )
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isreg() and member.size <= _LARGEST:
                name = member.name.removeprefix("./")
                yield name, lambda member=member: _content(tar, member).decode("utf-8", "replace")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    return stream.read() if stream else b""


def _strings(value: object) -> tuple[str, ...]:
    """Return the texts of a list; whatever else stands in it, or in its place, says nothing."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list | tuple) else ()


def _setup_keywords(module: ast.Module) -> list[ast.keyword]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name == "setup":
                return node.keywords
    return []


def _lines(text: str) -> list[str]:
    return [line.strip() for line in re.split(r"[\n;]" if "\n" not in text else r"\n", text) if line.strip()]


def _requires_txt(text: str) -> Iterator[str]:
    """Yield PEP 508 requirements from setuptools' own form: sections are ``[extra:marker]``."""
    extra, marker = "", ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            extra, _, marker = line.strip("[]").partition(":")
        elif line:
            conditions = [marker and f"({marker})", extra and f"extra == '{extra}'"]
            joined = " and ".join(filter(None, conditions))
            yield f"{line} ; {joined}" if joined else line
