"""What uv says when it fails, as values: no other module reads its sentences."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass

_PREFIX = re.compile(r"^\s*(?:error:|cause:|Caused by:|[\u00d7├╰─▶│]+)\s*")
_FETCHED = re.compile(
    r"(?:Failed to fetch:?|error sending request for url|Could not connect to)\s*[(`]*(\S+?)[)`]*$",
    re.MULTILINE,
)
_NO_WHEEL = re.compile(
    r"no usable wheels|no wheels\b|building from source is disabled|Building source distributions"
)
_ABIS = re.compile(r"with the following Python ABI tags?: (.*)")
_ABI = re.compile(r"`cp(\d)(\d+)m?`")
_BUILT = re.compile(r"Failed to (?:download and )?build `([^`]+)`")
_NAMED_BUILD = re.compile(
    r"Failed to (?:download and )?build `(?P<name>[A-Za-z0-9._-]+)(?:==(?P<version>[^`\s]+)| @ [^`]*)`"
)
_OTHER_NAME = re.compile(r"name `(?P<real>[^`]+)` does not match given name `(?P<given>[^`]+)`")
_RAISED = re.compile(r"^\s*((?:\w+\.)*\w*(?:Error|Exception|Exit)\b.*)$", re.MULTILINE)
_GIT = re.compile(r"Git operation failed|failed to (?:fetch into|clone|find branch, tag)")
_UPDATED = re.compile(r"^\s*Updating (\S+)", re.MULTILINE)
_FETCHING = re.compile(r"/git fetch [^`]*?'([^' ]+)'")
_UNABLE = re.compile(r"^fatal: (?:unable to access '[^']*': )?")
_NO_HOST = re.compile(r"Could not resolve host|Failed to connect to|Could not connect to server")
_ENVIRONMENT = re.compile(r"Failed to (install|resolve) requirements from")
_NO_NAMESPACES = re.compile(r"^\s*cog-nix: (?:user namespaces are not available|mount )", re.MULTILINE)
_REFUSED = re.compile(
    r"An index URL \((?P<url>[^)\s]+)\) (?:could not be queried|returned).*?\(?(?P<answer>40[13] \w+)"
)
_NOT_FOUND = re.compile(r"(\S+) was not found in the (?:package registry|provided package locations)")
_SERVED = re.compile(r"No solution found(?!.*torch was not found)", re.DOTALL)
"""uv has read an index's page. Where access is refused or a page is missing, it finds no torch."""
_SELF_EVIDENT = re.compile(r"No solution found|hint: Wheels are required")

_NO_RELEASE = re.compile(r"no version of ([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([\w.+!-]*\w)")
_FEW = re.compile(r"\b(?:versions of|only) ([A-Za-z0-9._-]+)\[[^\]]*\]()")
"""So uv speaks of a package with an extra that has no release which fits, and of one that no index has."""


@dataclass(frozen=True)
class Output:
    """The stderr of a uv that failed: all of it, and what it comes to."""

    text: str
    statements: tuple[str, ...]
    """Its lines without ornaments, warnings left out."""
    no_sandbox: bool
    """Whether there are no user namespaces to build in."""
    no_room: bool
    """Whether a disk is full; the kernel says the same where there may be no more namespaces."""
    unsatisfiable: bool
    """Whether no versions go together."""
    refused: tuple[str, str] | None
    """The URL of an index that asks for credentials, and its answer."""
    is_refusal: bool
    """Whether a server asks for credentials."""
    unfetched: str
    """The URL that could not be fetched; "" for none."""
    untrusted: bool
    """Whether a certificate is not trusted."""
    unknown_package: str
    """The package that no index has; "" for none."""
    no_release: tuple[str, str] | None
    """The package and the version of it that no index has; "": none that fits, asked for with an extra."""
    lacks_wheel: bool
    """Whether there are only sources where wheels are needed."""
    pythons: tuple[str, ...]
    """The minor versions of Python that these wheels are for."""
    lacks_git: bool
    repository_failed: bool
    """Whether git itself failed."""
    git_failed: bool
    """Whether a git repository cannot be read."""
    repository: str
    """The URL of that repository; "" where it is not told."""
    no_host: bool
    """Whether git found nobody to ask."""
    unbuilt: str
    """What could not be built, as uv calls it; "" for nothing."""
    unbuilt_package: tuple[str, str] | None
    """Name and version of what could not be built; the version is "" for a URL's or a path's."""
    backend_failed: bool
    environment_failed: frozenset[str]
    """What could not be done with what a build requires: ``resolve`` it, or ``install`` it."""
    other_name: tuple[str, str] | None
    """The name that a source has, and the one that it was given."""
    raised: str
    """The exception that a build ended with."""

    @classmethod
    def parse(cls, text: str) -> Output:
        """Read what uv said, credentials taken out."""
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("warning:")]
        no_sandbox = _NO_NAMESPACES.search(text) is not None
        raised = _first(_RAISED, text, last=True)
        statements = tuple(_PREFIX.sub("", _PREFIX.sub("", line)).strip() for line in lines)
        return cls(
            text=text,
            statements=statements,
            no_sandbox=no_sandbox,
            no_room=os.strerror(errno.ENOSPC) in text and not no_sandbox,
            unsatisfiable="No solution found" in text,
            no_release=_pair(_NO_RELEASE, reasons := " ".join(statements)) or _pair(_FEW, reasons),
            refused=_pair(_REFUSED, text),
            is_refusal=re.search(r"\b(401|403)\b", text) is not None,
            unfetched=_first(_FETCHED, text),
            untrusted="certificate" in text.lower(),
            unknown_package=_first(_NOT_FOUND, text),
            lacks_wheel=_NO_WHEEL.search(text) is not None,
            pythons=tuple(f"{one[1]}.{one[2]}" for one in _ABI.finditer(_first(_ABIS, text))),
            lacks_git="git executable not found" in text.lower(),
            repository_failed="Git operation failed" in text,
            git_failed=_GIT.search(text) is not None,
            repository=_first(_FETCHING, text) or _first(_UPDATED, text),
            no_host=_NO_HOST.search(text) is not None,
            unbuilt=_first(_BUILT, text),
            unbuilt_package=_pair(_NAMED_BUILD, text),
            backend_failed="The build backend returned an error" in text,
            environment_failed=frozenset(_ENVIRONMENT.findall(text)),
            other_name=_pair(_OTHER_NAME, text),
            raised=raised.strip() or "its build failed",
        )

    @property
    def reasons(self) -> tuple[str, ...]:
        """The statements that are not the failure itself."""
        return tuple(line for line in self.statements if not _SELF_EVIDENT.search(line))

    @property
    def cause(self) -> str:
        """The last statement, which is the first cause."""
        return self.statements[-1] if self.statements else "no answer"

    @property
    def repository_failure(self) -> str:
        """Why git cannot read a repository."""
        return _UNABLE.sub("", self.cause)

    @property
    def index_failure(self) -> str:
        """Why an index of PyTorch's does not serve torch; "" where it does."""
        if "invalid value" in self.text:
            return "this uv does not know it"
        if _SERVED.search(self.text):
            return ""  # it answered; what is in it does not fit, which the resolution will tell
        lines = self.text.strip().splitlines() or ["no answer"]
        return lines[-1].strip().removeprefix("cause: ")


def _first(pattern: re.Pattern[str], text: str, *, last: bool = False) -> str:
    found = list(pattern.finditer(text))
    return found[-1 if last else 0][1] if found else ""


def _pair(pattern: re.Pattern[str], text: str) -> tuple[str, str] | None:
    found = pattern.search(text)
    return (found[1], found[2] or "") if found else None
