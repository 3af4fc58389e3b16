"""The project's files, each read and parsed once."""

from __future__ import annotations

import posixpath
from functools import cached_property
from typing import TYPE_CHECKING

from cog_nix.signature.imports import Imports, is_external, module_path
from cog_nix.signature.literals import Constants, module_constants
from cog_nix.signature.records import Reader, Records
from cog_nix.signature.refusal import RefusalError
from cog_nix.signature.syntax import Source
from cog_nix.system.regular import read_bytes

if TYPE_CHECKING:
    from pathlib import Path


class Project:
    """The folder that holds cog.yaml.

    Args:
        root: where it is.

    Attributes:
        broken: why files that were looked for could not be parsed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.broken: dict[str, RefusalError] = {}
        self._entries: set[str] = set()
        self._sources: dict[str, Source | None] = {}
        self._modules: dict[str, Module] = {}

    @property
    def looked_for(self) -> frozenset[str]:
        """Paths of all files that were read, or looked for in vain."""
        return frozenset({*self._entries, *self._sources})

    def entry(self, path: str) -> Module:
        """Return the file that cog.yaml names.

        Raises:
            RefusalError: it is outside the project, missing, or no Python.
        """
        clean = posixpath.normpath(path)
        self._entries.add(clean)
        if clean == ".." or clean.startswith(("/", "../")):
            raise RefusalError(
                f'predictor source path "{path}" is outside source directory',
                "Name a file below the folder of cog.yaml, for example predict.py:Predictor.",
            )
        try:
            data = read_bytes(self.root / clean)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise RefusalError(
                f"failed to read predictor source {clean}: {reason}",
                "Create the file, or name another one in cog.yaml.",
            ) from None
        return Module(self, Source(clean, data))

    def source(self, path: str) -> Source | None:
        """Return a file that may be imported, or None when there is none that can be read."""
        if path not in self._sources:
            self._sources[path] = self._read(path)
        return self._sources[path]

    def _read(self, path: str) -> Source | None:
        try:
            return Source(path, read_bytes(self.root / path))
        except RefusalError as refusal:
            self.broken[path] = refusal  # told only when something in it is needed
        except (OSError, ValueError):
            pass  # what is needed from it is reported as missing where it is needed
        return None

    def module(self, name: str, importer: str) -> Module | None:
        """Return the module of that name as seen from a file, or None when it is not the project's."""
        path = module_path(name, importer)
        if path is None or is_external(name):
            return None
        if path not in self._modules:
            source = self.source(path)
            if source is None:
                return None
            self._modules[path] = Module(self, source)
        return self._modules[path]


class Module:
    """One file and what its names mean.

    Args:
        project: the project it belongs to.
        source: its parsed source.
    """

    def __init__(self, project: Project, source: Source) -> None:
        self.project = project
        self.source = source
        self.imports = Imports(source)

    @cached_property
    def constants(self) -> Constants:
        """The module-level names with a known value."""
        return module_constants(self.source)

    @cached_property
    def records(self) -> Records:
        """The record classes that the module can name."""
        return Reader(self.project.source).read(self.source, self.imports)
