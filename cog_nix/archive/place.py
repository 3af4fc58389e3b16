"""Which archive a word of the command line means, and which archives are asked last for a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.archive.artifact import RegistryArchive
from cog_nix.archive.errors import UnusableArchiveError
from cog_nix.archive.folder import FolderArchive
from cog_nix.archive.tarball import FileArchive
from cog_nix.fetch.origins import Alternative
from cog_nix.registry import credentials
from cog_nix.registry.reference import Reference, is_host

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.archive.model import Archive
    from cog_nix.config.model import OriginSettings
    from cog_nix.lock.model import Artifact
    from cog_nix.report import Reporter

VARIABLE = "COG_NIX_ARCHIVES"
"""URLs of archives, separated by spaces, that are asked after those of cog-nix.toml."""
_REGISTRY = "oci:"
_WEB = ("http://", "https://")
_FILE = ".tar"


def find(word: str, cache: Path, reporter: Reporter) -> Archive:
    """Return the archive that a word means: a folder or a file that is there, or else a reference.

    Args:
        word: a path, ``oci:REFERENCE``, or the reference of an image.
        cache: folder of the user's caches.
        reporter: shows what is copied.

    Raises:
        UnusableArchiveError: there is no archive.
        ConfigError: it is no reference.
        RegistryError: the registry refuses, or cannot be reached.
    """
    path = Path(word).resolve()
    if word.startswith(_WEB):
        hint = f"Archives behind URLs are asked last:  {VARIABLE}={word} cog-nix build"
        raise UnusableArchiveError(word, "it is a URL", hint=hint)
    if word.startswith(_REGISTRY) or (not path.exists() and _is_reference(word)):
        reference = Reference.parse(word.removeprefix(_REGISTRY))
        return RegistryArchive(reference, credentials.find(reference.registry), reporter, cache=cache)
    if path.is_dir():
        return FolderArchive(path, reporter)
    if path.exists():
        return FileArchive(path, reporter)
    raise UnusableArchiveError(
        word,
        "there is nothing of that name",
        hint="Name a folder or a file that `cog-nix archive` made, or an image: oci:REGISTRY/IMAGE:TAG",
    )


def _is_reference(word: str) -> bool:
    """Whether a word that is no path here names a registry."""
    host, slash, _ = word.partition("/")
    return bool(slash) and is_host(host) and not host.startswith((".", "~"))


def destination(word: str, cache: Path, reporter: Reporter) -> Archive:
    """Return the archive that a word means, which may be one that is still to be made.

    Args:
        word: a folder, a file whose name ends with ``.tar``, or ``oci:REFERENCE``.
        cache: folder of the user's caches.
        reporter: shows what is copied.

    Raises:
        UnusableArchiveError: there is something else.
        ConfigError: it is no reference.
        RegistryError: the registry refuses, or cannot be reached.
    """
    if word.startswith(_REGISTRY):
        reference = Reference.parse(word.removeprefix(_REGISTRY))
        if reference.digest:
            raise UnusableArchiveError(word, "it names a digest", hint="Name a tag.")
        known = credentials.find(reference.registry)
        return RegistryArchive(reference, known, reporter, cache=cache, new=True)
    if word.startswith(_WEB):
        hint = "Write a folder, and let a web server have it."
        raise UnusableArchiveError(word, "it is a URL", hint=hint)
    path = Path(word).resolve()
    if path.is_file() or (word.endswith(_FILE) and not path.is_dir()):
        return FileArchive(path, reporter, new=True)
    return FolderArchive(path, reporter, new=True)


def alternatives(
    files: Sequence[Artifact], settings: OriginSettings, environment: Mapping[str, str]
) -> dict[str, list[Alternative]]:
    """Return where archives that are folders have files, by sha256, whether or not they have them.

    Args:
        files: which.
        settings: cog-nix.toml names archives.
        environment: so does ``COG_NIX_ARCHIVES``.
    """
    named = (*settings.archives, *environment.get(VARIABLE, "").split())
    bases = [url if "://" in url else Path(url).absolute().as_uri() for url in named]
    return {
        file.sha256: [
            Alternative(f"{base.rstrip('/')}/sha256/{file.sha256[:2]}/{file.sha256}", "archive")
            for base in bases
        ]
        for file in files
    }
