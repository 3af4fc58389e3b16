"""Nix packages of cog-nix.toml: files of the project as they are, flakes locked to a revision and a hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cog_nix.errors import ConfigError, LockError
from cog_nix.lock.model import NixPackage
from cog_nix.system import jsonvalue
from cog_nix.system.jsonvalue import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cog_nix.config.model import Project
    from cog_nix.store.nix import Nix


def lock_packages(
    project: Project, references: Sequence[str], nix: Nix | None, kept: Mapping[str, NixPackage]
) -> tuple[NixPackage, ...]:
    """Return the packages that references stand for.

    Args:
        project: whose.
        references: ``[nix] packages`` of cog-nix.toml.
        nix: asks flakes where they are.
        kept: packages locked before, by reference, that need not move.

    Raises:
        ConfigError: a file is missing.
        LockError: a flake cannot be read.
    """
    return tuple(kept.get(reference) or _lock(project, reference, nix) for reference in references)


def _lock(project: Project, reference: str, nix: Nix | None) -> NixPackage:
    place, _, attribute = reference.partition("#")
    if place.endswith(".nix") and ":" not in place:
        name = _inside(project, place, reference)
        return NixPackage(reference, name, "", attribute)
    if place.startswith("."):
        name = _inside(project, f"{place}/flake.nix", reference).rpartition("/")[0]
        return NixPackage(reference, "", f"./{name}" if name else ".", attribute)
    if nix is None:
        raise LockError(
            f"{project.settings_path.name} asks for {reference}, and locking a flake needs Nix.",
            hint="Install Nix, then run this again.",
        )
    metadata = _metadata(nix.flake_metadata(place, project.root), reference)
    return NixPackage(reference, "", _locked_flake(metadata), attribute)


def _metadata(text: str, reference: str) -> dict[str, Any]:
    """Read what ``nix flake metadata --json`` printed.

    Raises:
        LockError: it is something else.
    """
    try:
        data = jsonvalue.loads(text)
        return {"url": text_of(data["url"]), "narHash": text_of(data["locked"]["narHash"])}
    except (ValueError, KeyError, TypeError) as error:
        raise LockError(f"Nix does not say what {reference} is: {error}") from error


def _locked_flake(metadata: Mapping[str, Any]) -> str:
    """Return a flake's URL with revision and hash (Nix manual, "nix flake", "Flake references")."""
    url: str = metadata["url"]
    if "narHash=" in url:
        return url
    separator = "&" if "?" in url else "?"
    return f"{url}{separator}narHash={quote(metadata['narHash'], safe='')}"


def _inside(project: Project, path: str, reference: str) -> str:
    """Return a file's path relative to the project.

    Raises:
        ConfigError: it is not there, or not inside the project.
    """
    root: Path = project.root.resolve()
    found = (root / path).resolve()
    name = project.settings_path.name
    if not found.is_relative_to(root):
        raise ConfigError(
            f"{name}: nix.packages: {reference} is outside the project.",
            hint="Copy it into the project, or name it as a flake (path:/folder#attribute).",
        )
    if not found.is_file():
        raise ConfigError(
            f"{name}: nix.packages: there is no file {path}.", hint="Correct the path; it starts at cog.yaml."
        )
    return found.relative_to(root).as_posix()
