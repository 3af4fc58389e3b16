"""Entries of ``system_packages`` as the command line of ``apt-get install`` that upstream pastes them into.

So an entry may hold several words, quoted as the shell has it, and a word may be more than a name: a version,
a release, an architecture (apt-get(8), "install"). What only a running apt could mean is refused, with the
reason.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

_WORD = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9+.-]*)(?::(?P<qualifier>[a-z0-9-]+))?"
    r"(?:=(?P<version>[A-Za-z0-9][A-Za-z0-9.+~:*?-]*)|/(?P<release>[a-zA-Z0-9.-]+))?$"
)
_MOOT_OPTIONS = frozenset(
    {
        *("-y", "-q", "-qq", "-qqy", "-yq", "-yqq", "--yes", "--assume-yes", "--quiet"),
        *("-f", "--fix-broken", "-m", "--fix-missing", "--allow-downgrades", "--reinstall"),
        *("--no-install-recommends", "--no-install-suggests"),
    }
)
"""Options that ask for what is done anyway, or that mean nothing where nothing is installed yet."""
_SHELL = re.compile(r"[;&|<>$`(){}!\\]")
_PATTERN = re.compile(r"[*?\[\]^]")


class WantedError(ValueError):
    """A word cannot be locked; the text is a whole sentence."""


@dataclass(frozen=True)
class Wanted:
    """One package that is asked for."""

    name: str
    qualifier: str = ""
    """Architecture, after a colon."""
    version: str = ""
    """May hold ``*`` and ``?``, as apt takes them there."""
    release: str = ""
    """Suite, codename or number of a release, after a slash."""

    @classmethod
    def parse(cls, word: str) -> Wanted:
        """Parse one word.

        Raises:
            WantedError: it is no package that can be locked.
        """
        found = _WORD.match(word)
        if not found:
            raise WantedError(_reason(word))
        return cls(found["name"], found["qualifier"] or "", found["version"] or "", found["release"] or "")


def words(entry: str) -> list[str]:
    """Return the words of an entry that name packages.

    Raises:
        WantedError: the entry has an option or shell syntax that cannot be followed.
    """
    try:
        found = shlex.split(entry, comments=True)
    except ValueError as error:
        raise WantedError(f"{entry!r}: a quotation mark is missing.") from error
    if _SHELL.search(entry):
        raise WantedError(f"{entry!r} is shell syntax; commands belong under build.run.")
    for word in found:
        if word.startswith("-") and word not in _MOOT_OPTIONS:
            raise WantedError(f"the option {word!r} of apt-get has no meaning here: name packages alone.")
    return [word for word in found if not word.startswith("-")]


def _reason(word: str) -> str:
    if word.endswith(".deb") or word.startswith((".", "/")):
        return f"{word!r} is a file; only packages of the Debian archive can be locked."
    if word.endswith("^"):
        return f"{word!r} is a task, not a package: name the packages that you need of it."
    if _PATTERN.search(word):
        return f"{word!r} is a pattern, which would mean other packages tomorrow: name the packages."
    return f"{word!r} is not a Debian package name."
