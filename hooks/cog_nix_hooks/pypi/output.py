"""What uv says when it fails, as values: no other module reads its sentences."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from functools import cached_property

_PREFIX = re.compile(r"^\s*(?:error:|cause:|Caused by:|[\u00d7├╰─▶│]+)\s*")
_FETCHED = re.compile(
    r"(?:Failed to fetch:?|error sending request for url|Could not connect to)\s*[(`]*(\S+?)[)`]*$",
    re.MULTILINE,
)
_NO_WHEEL = re.compile(
    r"no usable wheels|no wheels\b|building from source is disabled|Building source distributions"
)
_BUILT = re.compile(r"Failed to (?:download and )?build `([^`]+)`")
_NAMED_BUILD = re.compile(
    r"Failed to (?:download and )?build `(?P<name>[A-Za-z0-9._-]+)(?:==(?P<version>[^`\s]+)| @ [^`]*)`"
)
_OTHER_NAME = re.compile(r"name `(?P<real>[^`]+)` does not match given name `(?P<given>[^`]+)`")
_RAISED = re.compile(r"^\s*((?:\w+\.)*\w*(?:Error|Exception|Exit)\b.*)$", re.MULTILINE)
_GIT = re.compile(r"Git operation failed|failed to (?:fetch into|clone|find branch, tag)")
_ENVIRONMENT = re.compile(r"Failed to (install|resolve) requirements from")
_NO_NAMESPACES = re.compile(r"^\s*cog-nix: (?:user namespaces are not available|mount )", re.MULTILINE)
_REFUSED = re.compile(
    r"An index URL \((?P<url>[^)\s]+)\) (?:could not be queried|returned).*?\(?(?P<answer>40[13] \w+)"
)
_NOT_FOUND = re.compile(r"(\S+) was not found in the (?:package registry|provided package locations)")
_SERVED = re.compile(r"No solution found(?!.*torch was not found)", re.DOTALL)
"""uv has read an index's page. Where access is refused or a page is missing, it finds no torch."""
_SELF_EVIDENT = re.compile(r"No solution found|hint: Wheels are required")


@dataclass(frozen=True)
class Output:
    """The stderr of a uv that failed.

    Args:
        text: all of it, credentials taken out.
    """

    text: str

    @cached_property
    def statements(self) -> tuple[str, ...]:
        """Its lines without ornaments, warnings left out."""
        lines = [line for line in self.text.splitlines() if line.strip() and not line.startswith("warning:")]
        return tuple(_PREFIX.sub("", _PREFIX.sub("", line)).strip() for line in lines)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The statements that are not the failure itself."""
        return tuple(line for line in self.statements if not _SELF_EVIDENT.search(line))

    @property
    def cause(self) -> str:
        """The last statement, which is the first cause."""
        return self.statements[-1] if self.statements else "no answer"

    @property
    def no_room(self) -> bool:
        """Whether a disk is full; the kernel says the same where there may be no more namespaces."""
        return os.strerror(errno.ENOSPC) in self.text and not self.no_sandbox

    @property
    def unsatisfiable(self) -> bool:
        """Whether no versions go together."""
        return "No solution found" in self.text

    @property
    def refused(self) -> tuple[str, str] | None:
        """The URL of an index that asks for credentials, and its answer."""
        found = _REFUSED.search(self.text)
        return (found["url"], found["answer"]) if found else None

    @property
    def is_refusal(self) -> bool:
        """Whether a server asks for credentials."""
        return re.search(r"\b(401|403)\b", self.text) is not None

    @property
    def unfetched(self) -> str:
        """The URL that could not be fetched; "" for none."""
        found = _FETCHED.search(self.text)
        return found[1] if found else ""

    @property
    def untrusted(self) -> bool:
        """Whether a certificate is not trusted."""
        return "certificate" in self.text.lower()

    @property
    def index_failure(self) -> str:
        """Why an index of PyTorch's does not serve torch; "" where it does."""
        if "invalid value" in self.text:
            return "this uv does not know it"
        if _SERVED.search(self.text):
            return ""  # it answered; what is in it does not fit, which the resolution will tell
        lines = self.text.strip().splitlines() or ["no answer"]
        return lines[-1].strip().removeprefix("cause: ")

    @property
    def unknown_package(self) -> str:
        """The package that no index has; "" for none."""
        found = _NOT_FOUND.search(self.text)
        return found[1] if found else ""

    @property
    def lacks_wheel(self) -> bool:
        """Whether there are only sources where wheels are needed."""
        return _NO_WHEEL.search(self.text) is not None

    @property
    def lacks_git(self) -> bool:
        """Whether git is not installed."""
        return "git executable not found" in self.text.lower()

    @property
    def repository_failed(self) -> bool:
        """Whether git itself failed."""
        return "Git operation failed" in self.text

    @property
    def git_failed(self) -> bool:
        """Whether a git repository cannot be read."""
        return _GIT.search(self.text) is not None

    @property
    def no_sandbox(self) -> bool:
        """Whether there are no user namespaces to build in."""
        return _NO_NAMESPACES.search(self.text) is not None

    @property
    def unbuilt(self) -> str:
        """What could not be built, as uv calls it; "" for nothing."""
        found = _BUILT.search(self.text)
        return found[1] if found else ""

    @property
    def unbuilt_package(self) -> tuple[str, str] | None:
        """Name and version of what could not be built; the version is "" for a URL's or a path's."""
        found = _NAMED_BUILD.search(self.text)
        return (found["name"], found["version"] or "") if found else None

    @property
    def backend_failed(self) -> bool:
        """Whether a build backend failed."""
        return "The build backend returned an error" in self.text

    @property
    def environment_failed(self) -> frozenset[str]:
        """What could not be done with what a build requires: ``resolve`` it, or ``install`` it."""
        return frozenset(_ENVIRONMENT.findall(self.text))

    @property
    def other_name(self) -> tuple[str, str] | None:
        """The name that a source was given, and the one that it has."""
        found = _OTHER_NAME.search(self.text)
        return (found["given"], found["real"]) if found else None

    @property
    def raised(self) -> str:
        """The exception that a build ended with."""
        found = _RAISED.findall(self.text)
        return str(found[-1]).strip() if found else "its build failed"
