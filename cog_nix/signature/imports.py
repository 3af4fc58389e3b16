"""Which name comes from which module, and where that module's file would be."""

from __future__ import annotations

import ast
import posixpath
from functools import cache
from typing import TYPE_CHECKING

from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from cog_nix.signature.syntax import Source

_BUILTINS = ("str", "int", "float", "bool", "list", "dict", "set", "None")
_TYPING = {"typing", "typing_extensions"}

_EXTERNAL = frozenset(
    {
        *(
            "builtins",
            "typing",
            "typing_extensions",
            "collections",
            "abc",
            "enum",
            "dataclasses",
            "os",
            "sys",
        ),
        *("io", "json", "re", "math", "pathlib", "functools", "itertools", "contextlib", "concurrent"),
        *("asyncio", "multiprocessing", "threading", "logging", "warnings", "unittest", "pytest"),
        *("numpy", "torch", "tensorflow", "jax", "scipy", "sklearn", "transformers", "diffusers"),
        *("accelerate", "safetensors", "PIL", "cv2", "skimage"),
        *("requests", "httpx", "aiohttp", "fastapi", "flask", "pydantic", "cog"),
    }
)
"""Modules that are never looked for in the project, even if it has a file of that name."""


@frozen
class Origin:
    """Where a name comes from: the module, and the name there (for a module, its own)."""

    module: str
    name: str


_UNKNOWN = Origin("", "")


class Imports:
    """The names that a module's top level imports, and the builtin types.

    Args:
        source: the module. Imports inside ``if`` and ``try`` do not count.
    """

    def __init__(self, source: Source) -> None:
        self.names: dict[str, Origin] = {}
        for node in source.tree.body:
            if isinstance(node, ast.ImportFrom):
                self._add_from(node)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    self.names[alias.asname or alias.name] = Origin(alias.name, alias.name)
        for name in _BUILTINS:
            self.names.setdefault(name, Origin("builtins", name))

    def _add_from(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        if module == "__future__":
            return
        for alias in node.names:
            if alias.name != "*":
                self.names[alias.asname or alias.name] = Origin(module, alias.name)

    def qualified(self, name: str) -> tuple[str, Origin] | None:
        """Split ``module.Name``; None for a name without a dot.

        Returns:
            What follows the first dot, and the origin of what precedes it.
        """
        head, dot, rest = name.partition(".")
        return (rest, self.names.get(head, _UNKNOWN)) if dot else None

    def means(self, name: str, original: str, modules: frozenset[str] | set[str]) -> bool:
        """Tell whether ``name`` was imported from one of the modules, where it is called ``original``."""
        origin = self.names.get(name)
        return origin is not None and origin.name == original and origin.module in modules

    def is_base_model(self, name: str) -> bool:
        """Tell whether a base class is Cog's or pydantic's ``BaseModel``."""
        return name == "BaseModel" or self.means(name, "BaseModel", {"cog", "pydantic", "pydantic.v1"})

    def is_typed_dict(self, name: str) -> bool:
        """Tell whether a base class is ``TypedDict``."""
        return name == "TypedDict" or self.means(name, "TypedDict", _TYPING)

    def is_opaque(self, name: str) -> bool:
        """Tell whether a name is Cog's marker ``Opaque``."""
        split = self.qualified(name)
        if split is not None:
            return split[0] == "Opaque" and split[1].module == "cog"
        return self.means(name, "Opaque", {"cog"})

    def is_annotated(self, name: str) -> bool:
        """Tell whether a name is ``typing.Annotated``."""
        split = self.qualified(name)
        if split is not None:
            rest, origin = split
            return rest == "Annotated" and origin.module in _TYPING and origin.name == origin.module
        return self.means(name, "Annotated", _TYPING)

    def container(self, name: str) -> str | None:
        """Return ``list``, ``List``, ``Optional`` or ``Union`` when a name means that, whatever its alias."""
        split = self.qualified(name)
        if split is not None:
            rest, origin = split
            is_typing = origin.module in _TYPING and origin.name == origin.module
            return rest if is_typing and rest in {"List", "Optional", "Union"} else None
        origin = self.names.get(name, _UNKNOWN)
        if origin == Origin("builtins", "list"):
            return "list"
        if origin.module in _TYPING and origin.name in {"List", "Optional", "Union"}:
            return origin.name
        return None

    def is_cog(self, name: str, original: str) -> bool:
        """Tell whether ``name`` or ``module.name`` is what Cog calls ``original``."""
        head, dot, rest = name.partition(".")
        if dot:
            return rest == original and self.names.get(head) == Origin("cog", "cog")
        return self.names.get(name) == Origin("cog", original)


def is_external(module: str) -> bool:
    """Tell whether a module is known to live outside every project."""
    dot = module.find(".")
    return (module[:dot] if dot > 0 else module).lstrip(".") in _EXTERNAL


@cache
def module_path(module: str, importer: str) -> str | None:
    """Return where a module's file would be.

    Args:
        module: its dotted name, with leading dots when relative.
        importer: path of the importing file, relative to the project.

    Returns:
        A path relative to the project, or None for a package itself (``.``).
    """
    name = module.lstrip(".")
    if not name:
        return None
    folder = ""
    level = len(module) - len(name)
    if level:
        folder = posixpath.dirname(importer)
        for _ in range(level - 1):
            folder = posixpath.dirname(folder)
    return posixpath.normpath(posixpath.join(folder, *name.split("."))) + ".py"


def submodule(origin: Origin) -> str:
    """Return the module that ``from package import name`` means when ``name`` is a module itself."""
    if not origin.module or not origin.name:
        return origin.module
    return f".{origin.name}" if origin.module == "." else f"{origin.module}.{origin.name}"
