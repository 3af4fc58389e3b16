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
class Use:
    """Somebody asks for a library, a program or a header."""

    origin: Origin
    verb: Verb
    wanted: str
    """Soname of the library, name of the program or the header."""
    path: str = ""
    """The file that asks; of a Python package, below ``site-packages``."""

    def __str__(self) -> str:
        return f"{self.origin}{f': {self.path}' if self.path else ''} {self.verb} {self.wanted}"


@dataclass(frozen=True)
class OtherName:
    """The package is asked for by a name that the suite does not have any more."""

    name: str

    def __str__(self) -> str:
        return f"{self.name} is asked for"


@dataclass(frozen=True)
class Reason:
    """Why a package is in an image."""

    package: str
    cause: Use | OtherName | str
    """A text is a plugin's own sentence."""
    told: str = field(default="", compare=False)
    """What is said while locking, where that is not the lock's sentence."""

    @property
    def sentence(self) -> str:
        """The cause as the lock holds it."""
        return str(self.cause)


_USE = re.compile(
    rf"(?:The project|Command (?P<command>[1-9]\d{{0,8}})|(?P<package>\S+?)(?: (?P<version>\S+?))?)"
    rf"(?:: (?P<path>.+))? (?P<verb>{'|'.join(Verb)}) (?P<wanted>\S+)",
    re.DOTALL,
)
_OTHER_NAME = re.compile(r"(\S+) is asked for")


def parse(package: str, sentence: str) -> Reason:
    """Return the reason that a sentence stands for; one in other words is a text.

    Args:
        package: which package's.
        sentence: as :attr:`Reason.sentence` writes it.
    """
    if found := _OTHER_NAME.fullmatch(sentence):
        return Reason(package, OtherName(found[1]))
    if found := _USE.fullmatch(sentence):
        origin = Origin(found["package"] or "", found["version"] or "", int(found["command"] or 0))
        use = Use(origin, Verb(found["verb"]), found["wanted"], found["path"] or "")
        if str(use) == sentence:
            return Reason(package, use)
    return Reason(package, sentence)
