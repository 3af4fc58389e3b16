"""Puts uv's failures into a LockError: what, where, and what to do."""

from __future__ import annotations

import errno
import os
import re
import textwrap
from typing import TYPE_CHECKING

from cog_nix.errors import LockError
from cog_nix.fetch import urls
from cog_nix.system import room
from cog_nix.system.processes import redact
from cog_nix_hooks.pypi.backends import UNCONFINED

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 1500
"""Characters of uv's explanation that are shown; the rest is seldom read."""
_COLUMNS = 100

_NO_FILE = "Choose a version that has a wheel for this Python, or another python_version."

_PREFIX = re.compile(r"^\s*(?:error:|cause:|Caused by:|[\u00d7├╰─▶│]+)\s*")
_FETCHED = re.compile(
    r"(?:Failed to fetch:?|error sending request for url|Could not connect to)\s*[(`]*(\S+?)[)`]*$",
    re.MULTILINE,
)
_NO_WHEEL = re.compile(
    r"no usable wheels|no wheels\b|building from source is disabled|Building source distributions"
)
_NO_ROOM = os.strerror(errno.ENOSPC)
_BUILT = re.compile(r"Failed to (?:download and )?build `([^`]+)`")
_GIT = re.compile(r"Git operation failed|failed to (?:fetch into|clone|find branch, tag)")
_BACKEND = re.compile(r"The build backend returned an error|Failed to install requirements from")
_NO_NAMESPACES = re.compile(r"^\s*cog-nix: (?:user namespaces are not available|mount )", re.MULTILINE)
_SELF_EVIDENT = re.compile(r"No solution found|hint: Wheels are required")
_REFUSED = re.compile(
    r"An index URL \((?P<url>[^)\s]+)\) (?:could not be queried|returned).*?\(?(?P<answer>40[13] \w+)"
)
_NOT_FOUND = re.compile(r"(\S+) was not found in the (?:package registry|provided package locations)")


def explain(
    stderr: str,
    *,
    asked_in: str,
    python_version: str,
    exclude_newer: str | None = None,
    secrets: Iterable[str] = (),
    direct: Iterable[str] = (),
) -> LockError:
    """Return the error for what uv wrote to stderr.

    Args:
        stderr: all of it; credentials are taken out here.
        asked_in: the file that the requirements stand in.
        python_version: of the interpreter in the image.
        exclude_newer: the date that limits the search, if any.
        secrets: values that must not be shown, beyond what URLs carry.
        direct: URLs that requirements name.
    """
    text = redact(stderr, secrets).replace("`-`", asked_in)
    if _NO_ROOM in text and not _NO_NAMESPACES.search(text):  # the kernel says the same of both
        said = "\n".join([shorten(_statements(text)), *(f"  {line}" for line in room.told())])
        return LockError(f"uv has no room to write to:\n{said}", hint="Free some space, then run this again.")
    refused = _REFUSED.search(text)
    if refused:
        return _refused(refused["url"], refused["answer"])
    if "No solution found" in text:
        return _unsatisfiable(text, asked_in, python_version, exclude_newer)
    fetched = _FETCHED.search(text)
    if fetched:
        named = {urls.without_credentials(url).partition("#")[0] for url in direct}
        is_file = urls.without_credentials(fetched[1]).partition("#")[0] in named
        return _file_unreachable(text, fetched[1], asked_in) if is_file else _unreachable(text, fetched[1])
    source = _source_failure(text, asked_in)
    if source:
        return source
    said = shorten(_statements(text))
    hint = _NO_FILE if _NO_WHEEL.search(text) else "Correct the requirements."
    return LockError(f"uv cannot resolve the requirements in {asked_in}:\n{said}", hint=hint)


def _source_failure(text: str, asked_in: str) -> LockError | None:
    if "git executable not found" in text.lower():
        return LockError(
            f"{asked_in} names a git repository, and git is not installed here",
            hint="Install git, or name a release of the package instead of its repository.",
        )
    if _GIT.search(text):
        return LockError(
            f"{asked_in}: a git repository cannot be read:\n{shorten(_statements(text))}",
            hint="Check its URL and revision, and that git can clone it here without asking."
            + (" Few hosts still answer git://: write git+https://." if "git://" in text else ""),
        )
    if _NO_NAMESPACES.search(text):
        return _unconfined(text, asked_in)
    built = _BUILT.search(text)
    if built or _BACKEND.search(text):
        what = built[1] if built else "a source"
        return LockError(
            f"{asked_in}: {what} does not tell what it requires, and finding out by running its build on this"
            f" machine failed:\n{shorten(_statements(text))}",
            hint="Name a version that has a wheel for this Python, or correct its build.",
        )
    return None


def _unconfined(text: str, asked_in: str) -> LockError:
    """Return the error for a backend that could not be run, since there is no sandbox for it."""
    from cog_nix.namespaces import why_no_namespaces  # noqa: PLC0415 - only this failure needs it

    built, why = _BUILT.search(text), why_no_namespaces()
    what = f"{asked_in}: {built[1] if built else 'a source'} does not tell what it requires, and its build"
    return LockError(
        f"{what} cannot be asked in a sandbox here.\n{why.message if why else shorten(_statements(text))}",
        hint=f"{why.remedy if why else 'Use a version that has a wheel.'}\n"
        f"Or, if you trust it with all that you may do:  {UNCONFINED}=1 cog-nix lock",
    )


def _unsatisfiable(text: str, asked_in: str, python_version: str, exclude_newer: str | None) -> LockError:
    said = shorten(line for line in _statements(text) if not _SELF_EVIDENT.search(line))
    message = f"the requirements in {asked_in} cannot be satisfied for Python {python_version}:\n{said}"
    missing = _NOT_FOUND.search(text)
    if missing:
        hint = (
            f"Check the spelling of {missing[1]}; if it is in another index, name that with --extra-index-url"
            " among the requirements or in UV_INDEX. Of several indexes, one that refuses access counts as"
            " one that lacks it."
        )
    elif _NO_WHEEL.search(text):
        hint = _NO_FILE
    else:
        hint = "Loosen one of the requirements named above."
    if exclude_newer:
        hint += f" Only what was published before {exclude_newer} is considered (python.exclude_newer)."
    return LockError(message, hint=hint)


def _refused(url: str, answer: str) -> LockError:
    host = urls.host_of(url)
    return LockError(
        f"the package index {host} refuses access: {answer}\n  {urls.shown(url)}",
        hint=f"Put the credentials for {host} into ~/.netrc or its URL (UV_DEFAULT_INDEX, UV_INDEX).",
    )


def _file_unreachable(text: str, url: str, asked_in: str) -> LockError:
    return LockError(
        f"{asked_in} names a file that cannot be fetched: {_last(text)}\n  {urls.shown(url)}",
        hint=(
            "Check the URL, and whether its host answers. Where the package is in an index, NAME==VERSION"
            " needs no URL; a file of the project is named ./FILE."
        ),
    )


def _last(text: str) -> str:
    """Return the last of uv's statements, which is the first cause."""
    details = [line for line in _statements(text) if line.strip()]
    return details[-1].strip() if details else "no answer"


def _unreachable(text: str, url: str) -> LockError:
    host = urls.host_of(url) or url
    reason = _last(text)
    if re.search(r"\b(401|403)\b", text):
        return _refused(url, reason)
    if "certificate" in text.lower():
        return LockError(
            f"the certificate of the package index {host} is not trusted ({reason})\n  {urls.shown(url)}",
            hint="Set SSL_CERT_FILE to a file with your organisation's certificate authorities (PEM).",
        )
    return LockError(
        f"the package index {host} cannot be reached: {reason}\n  {urls.shown(url)}",
        hint=(
            "Check the network; behind a proxy set HTTPS_PROXY. To use another index set UV_DEFAULT_INDEX"
            " (or PIP_INDEX_URL, or index-url in pip.conf)."
        ),
    )


def _statements(text: str) -> list[str]:
    """Return uv's lines without its ornaments, warnings left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("warning:")]
    return ["  " + _PREFIX.sub("", _PREFIX.sub("", line)).strip() for line in lines]


def _broken(line: str) -> str:
    """Break a line of uv's, which may have several hundred characters, between words."""
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line.strip(),
        _COLUMNS,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def last_statement(message: str) -> str:
    """Return the last of the statements in a message of :func:`explain`, on one line."""
    lines = message.splitlines()
    start = max(index for index, line in enumerate(lines) if not line.startswith("    "))
    return " ".join(line.strip() for line in lines[start:])


def shorten(lines: Iterable[str]) -> str:
    """Return the lines as one text, broken at 100 columns; the middle of a long one is left out."""
    text = "\n".join(_broken(line) for line in lines)
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half].rsplit(' ', 1)[0]} …\n  … {text[-half:].split(' ', 1)[-1]}"
