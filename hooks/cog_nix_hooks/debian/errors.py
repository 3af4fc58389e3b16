"""What goes wrong with Debian's archive and its packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .solver import DeadEndError

HOW_TO_SET = (
    "Set [debian] mirror in cog-nix.toml, or COG_NIX_DEBIAN_MIRROR in the environment, to the base URL of a "
    "Debian mirror (the folder that holds dists/ and pool/)."
)
TRY_ANOTHER = (
    "Use another mirror: [debian] mirror in cog-nix.toml, or COG_NIX_DEBIAN_MIRROR in the environment."
)


class MirrorError(LockError):
    """A mirror lacks a suite, or cannot be read.

    Args:
        mirror: its base URL; "" where none is known.
        suite: what was looked for in it.
        problem: what is wrong, in a sentence.
        hint: what to do next.
    """

    def __init__(self, mirror: str, suite: str, problem: str, *, hint: str = HOW_TO_SET) -> None:
        super().__init__(problem, hint=hint)
        self.mirror, self.suite = mirror, suite


class ReleaseError(LockError):
    """A Release file cannot be trusted, or is not the one that was asked for.

    Args:
        url: where it came from.
        problem: what is wrong; follows the URL.
        hint: what to do next.
    """

    def __init__(self, url: str, problem: str, *, hint: str = TRY_ANOTHER) -> None:
        super().__init__(f"{url} {problem}", hint=hint)
        self.url = url


class KeyringError(LockError):
    """A file with the archive's keys is missing or cannot be read."""

    def __init__(self, keyring: Path | str, problem: str) -> None:
        super().__init__(f"{keyring} {problem}", hint=GET_KEYRING)
        self.keyring = keyring


GET_KEYRING = (
    "Install Debian's archive keys (apt-get install debian-archive-keyring), or set COG_NIX_DEBIAN_KEYRING "
    "to a file that holds the keys of your mirror."
)


class BrokenIndexError(LockError):
    """An index of the archive is not in its form.

    Args:
        index: what it is called, and where it came from.
        problem: what is wrong with it; follows the name.
        signed: whether the archive vouches for it.
    """

    def __init__(self, index: str, problem: str, *, signed: bool = True) -> None:
        super().__init__(
            f"{index} {problem}",
            hint="The archive's index is broken. Try another mirror: [debian] mirror in cog-nix.toml.",
        )
        self.index, self.signed = index, signed


class ConflictError(LockError):
    """Packages cannot be installed together.

    Args:
        dead_end: the need that nothing can meet, and what stands in its way.
        told: the same in words.
    """

    def __init__(self, dead_end: DeadEndError, told: str) -> None:
        super().__init__(
            told, hint="Remove or replace one of the packages named above under build.system_packages."
        )
        self.dead_end = dead_end


class MissingPackageError(LockError):
    """A package that is named by cog-nix itself is not in the suite."""

    def __init__(self, suite: str, package: str, component: str) -> None:
        super().__init__(
            f"Debian {suite} has no package {package} in {component}.",
            hint="A mirror may lack a component: name one that has it in [debian] mirror of cog-nix.toml.",
        )
        self.suite, self.package, self.component = suite, package, component


class TableError(LockError):
    """What was read of an index cannot be kept."""

    def __init__(self, folder: Path, reason: object) -> None:
        super().__init__(
            f"{folder}: the table of an index cannot be written: {reason}",
            hint="Free some space, or name another folder in COG_NIX_CACHE_DIR, and run this again.",
        )
        self.folder = folder


class PackageNamesError(LockError):
    """Names under ``system_packages`` that cannot be installed.

    Args:
        problems: what is wrong with each, and where it stands.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(
            "\n".join(problems),
            hint="Fix these names under build.system_packages. `apt-cache search WORD` finds others.",
        )
        self.problems = tuple(problems)


class UnreadablePackageError(LockError):
    """A package that was downloaded is damaged."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"{path}: this package cannot be read: {reason}", hint="Lock again.")
        self.path = path
