"""Why a package is in an image that nobody named, or by another name: as values, and as the lock's sentences.

A lock holds a sentence for people to read. :func:`parse` is the only place that reads one.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field


class Verb(enum.StrEnum):
    """What a file, a package or the source does with what it asks for."""

    NEEDS = "needs"
    """A file has it among what it is linked with."""
    NAMES = "names"
    """It stands in a file as text."""
    STARTS = "starts"
    """The project's source starts it."""
    LINKS = "links to"
    LOADS = "loads"
    RUNS = "runs"
    COMPILES = "compiles with"
    """What is known of a Python package, whose files do not tell it."""
    ASKED = "is asked for"
    """Somebody names the package, by a name that the suite does not have any more."""


@dataclass(frozen=True)
class Origin:
    """Who asks: a Python package, the result of a command, or (neither of them) the project itself."""

    package: str = ""
    """Normalised name (PEP 503)."""
    version: str = ""
    command: int = 0
    """Its number in cog.yaml, from 1."""

    @property
    def is_project(self) -> bool:
        """Whether the project's own files ask."""
        return not self.package and not self.command

    def __str__(self) -> str:
        if self.command:
            return f"Command {self.command}"
        return f"{self.package} {self.version}".rstrip() or "The project"


@dataclass(frozen=True)
class Reason:
    """Why a package is in an image."""

    package: str
    verb: Verb | None = None
    """None: a plugin says it in words of its own."""
    wanted: str = ""
    """Soname of a library, name of a program or a header; of a package, as it is asked for."""
    origin: Origin = field(default_factory=Origin)
    """Who asks."""
    path: str = ""
    """The file that asks; of a Python package, below ``site-packages``."""
    text: str = ""
    """The plugin's sentence."""
    told: str = field(default="", compare=False)
    """What is said while locking, where that is not the lock's sentence."""

    @property
    def sentence(self) -> str:
        """It as the lock holds it."""
        if self.verb is None:
            return self.text
        if self.verb is Verb.ASKED:
            return f"{self.wanted} {self.verb}"
        return f"{self.origin}{f': {self.path}' if self.path else ''} {self.verb} {self.wanted}"


_USES = "|".join(verb for verb in Verb if verb is not Verb.ASKED)
_USE = re.compile(
    rf"(?:The project|Command (?P<command>[1-9]\d{{0,8}})|(?P<package>\S+?)(?: (?P<version>\S+?))?)"
    rf"(?:: (?P<path>.+))? (?P<verb>{_USES}) (?P<wanted>\S+)",
    re.DOTALL,
)
_ASKED = re.compile(rf"(\S+) {Verb.ASKED}")


def parse(package: str, sentence: str) -> Reason:
    """Return the reason that a sentence stands for; one in other words is a text.

    Args:
        package: which package's.
        sentence: as :attr:`Reason.sentence` writes it.
    """
    text = Reason(package, text=sentence)
    if found := _ASKED.fullmatch(sentence):
        return Reason(package, Verb.ASKED, found[1])
    if not (found := _USE.fullmatch(sentence)):
        return text
    origin = Origin(found["package"] or "", found["version"] or "", int(found["command"] or 0))
    reason = Reason(package, Verb(found["verb"]), found["wanted"], origin, found["path"] or "")
    return reason if reason.sentence == sentence else text
