"""The values of a bill of materials, before they are written in anybody's format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

Kind = Literal[
    "system", "deb", "pypi", "interpreter", "npm", "golang", "nix", "command", "file", "weights", "other"
]


@dataclass(frozen=True)
class Licence:
    """What somebody declares that a package is under."""

    expression: str = ""
    """SPDX expression (SPDX 2.3, annex D); "": it says nothing that is one."""
    names: tuple[str, ...] = ()
    """What it says in other words."""

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return bool(self.expression or self.names)


@dataclass(frozen=True)
class Component:
    """Something that is in an image."""

    key: str
    """Tells it from all others of the image: ``deb:libc6``, ``wheel:numpy``."""
    kind: Kind
    name: str
    version: str = ""
    purl: str = ""
    """Package URL (ECMA-427); "": there is no type for it."""
    sha256: str = ""
    """Of the file that it came in, hexadecimal; "": it came in none of its own."""
    url: str = ""
    """Where that file was locked from."""
    licence: Licence = field(default_factory=Licence)
    supplier: str = ""
    """Who packaged it, as the package says."""
    homepage: str = ""
    description: str = ""
    depends: tuple[str, ...] = ()
    """Keys of what it needs."""
    asked: tuple[str, ...] = ()
    """Why it is there, a sentence each, from it up to whoever asked for it."""
    inside: str = ""
    """Key of the component that brought it; "": it is one of the image's own."""
    source: tuple[str, str] | None = None
    """Name and version of the source package that it was built from (Debian Policy 5.6.1), by which holes are
    known; None: it is of a kind that has none."""
    paths: tuple[str, ...] = ()
    """Where in the image it is, as far as one path says that."""
    layer: str = ""
    """Name of the image's layer that it is in; "": not known."""


@dataclass(frozen=True)
class Document:
    """A bill of materials that a package brings (PEP 770)."""

    path: str
    """In the image."""
    key: str
    """Of the component that brings it."""
    data: dict[str, Any]


@dataclass(frozen=True)
class Bill:
    """All that is in an image."""

    name: str
    """Of the image, without registry and tag."""
    lock: str
    """``sha256:…`` of the lock's file."""
    created: str
    """When the newest index was made that packages were locked from: ISO 8601 in UTC. No clock is read."""
    tool: str
    """Version of cog-nix."""
    components: tuple[Component, ...]
    """In a fixed order, each key once."""
    image: str = ""
    """``sha256:…`` of the image's configuration; "": the bill is part of the image."""


def purl(kind: str, namespace: str, name: str, version: str, **qualifiers: str) -> str:
    """Return a package URL (ECMA-427, "Package-URL specification").

    Args:
        kind: ``deb``, ``pypi`` and the like.
        namespace: "" for none.
        name: in the form that the type asks for.
        version: "" for none.
        qualifiers: those with a value come in, sorted.
    """
    parts = [quote(part, safe="") for part in (*namespace.split("/"), name) if part]
    text = f"pkg:{kind}/{'/'.join(parts)}"
    if version:
        text += f"@{quote(version, safe=':')}"
    given = [f"{key}={quote(value, safe=':/')}" for key, value in sorted(qualifiers.items()) if value]
    return text + (f"?{'&'.join(given)}" if given else "")
