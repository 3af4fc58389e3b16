"""Sorts the lines of a requirements file into requirements and options (pip's requirements file format)."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cog_nix.errors import LockError
from cog_nix.processes import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

_VALUED = {
    "-i": "index",
    "--index-url": "index",
    "--pypi-url": "index",
    "--extra-index-url": "extra",
    "-f": "find_links",
    "--find-links": "find_links",
    "--trusted-host": "trusted",
    "--only-binary": "",  # it is so anyway
    "--no-binary": "",  # a wheel serves as well; there is no building yet
    "--use-feature": "",
}
_FLAGS = {
    "--no-index": "no_index",
    "--pre": "pre",
    "--prefer-binary": "",
    "--require-hashes": "",
}
_PASSED_ON = ("-r", "--requirement", "-c", "--constraint")
_FROM_SOURCE = re.compile(r"^(?:-e\b|--editable\b)|(?:^|@\s*)(?:git|hg|svn|bzr)\+", re.IGNORECASE)
_OPTION_BEHIND = re.compile(r"\s(?=--?[a-z])", re.IGNORECASE)
_SOURCE_ARCHIVES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip", ".tar")


@dataclass(frozen=True)
class Lines:
    """What a requirements file asks for."""

    requirements: tuple[str, ...] = ()
    """Lines for uv: requirements, and ``-r`` and ``-c`` lines."""
    index: str | None = None
    """The index that replaces the default one; the last line wins, as with pip."""
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    no_index: bool = False
    pre: bool = False


def parse(lines: Iterable[str], asked_in: str) -> Lines:
    """Sort requirement and option lines.

    Options behind a requirement (``torch==2.0.1 --extra-index-url=…``) count for the whole file, as with Cog.

    Raises:
        LockError: an option is unknown or lacks its value, or a requirement is a source tree.
    """
    requirements: list[str] = []
    options: list[tuple[str, str]] = []
    for line in filter(None, map(str.strip, lines)):
        requirement, words = _split(line, asked_in)
        _refuse_sources(requirement, asked_in)
        hashes = [word for word in words if word.startswith("--hash")]
        if requirement:
            requirements.append(" ".join([requirement, *hashes]))
        options += _options([word for word in words if word not in hashes], line, asked_in)

    def all_of(kind: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value for name, value in options if name == kind))

    return Lines(
        requirements=tuple(requirements),
        index=next((value for name, value in reversed(options) if name == "index"), None),
        extra=all_of("extra"),
        find_links=all_of("find_links"),
        trusted=all_of("trusted"),
        **{flag: any(name == flag for name, _ in options) for flag in ("no_index", "pre")},
    )


def _split(line: str, asked_in: str) -> tuple[str, list[str]]:
    """Split a line into its requirement, if any, and the words of its options."""
    if line.startswith(_PASSED_ON) or _FROM_SOURCE.match(line):
        return line, []
    if line.startswith("-"):
        return "", _words(line, line, asked_in)
    head, *rest = _OPTION_BEHIND.split(line, maxsplit=1)
    return head.strip(), _words(rest[0], line, asked_in) if rest else []


def _words(text: str, line: str, asked_in: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise LockError(
            f"{asked_in}: cannot read {redact(line)!r}: {error}", hint="Correct the quotes in this line."
        ) from error


def _options(words: list[str], line: str, asked_in: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in _FLAGS:
            found.append((_FLAGS[name], ""))
        elif name in _VALUED:
            value = value if equals else next(rest, "")
            if not value:
                raise LockError(
                    f"{asked_in}: {name} needs a value: {redact(line)!r}", hint="Complete the line."
                )
            found.append((_VALUED[name], value))
        else:
            known = ", ".join(sorted(name for name in (*_VALUED, *_FLAGS) if name.startswith("--")))
            raise LockError(
                f"{asked_in}: unknown option {redact(word)!r} in {redact(line)!r}",
                hint=f"Remove it. The options of a requirements file that cog-nix knows: {known}.",
            )
    return found


def _refuse_sources(requirement: str, asked_in: str) -> None:
    if requirement.startswith(_PASSED_ON):
        return
    url = requirement.partition(" @ ")[2] or requirement
    path = urlsplit(url.split(";")[0].strip()).path
    archive = path.lower().endswith(_SOURCE_ARCHIVES) and ("/" in path)
    if _FROM_SOURCE.search(requirement) or archive:
        raise LockError(
            f"{asked_in}: {redact(requirement)!r} would have to be built from source, which cog-nix cannot do"
            " yet",
            hint="Name a release that has a wheel, or the URL of a wheel.",
        )
