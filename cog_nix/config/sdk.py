"""``build.sdk_version``: which releases of Cog's own package may be asked for."""

from __future__ import annotations

import re

from cog_nix.errors import ConfigError

CURRENT = "0.23.1"
"""The release of Cog that cog-nix follows, and what its command line writes where nothing else is known."""

PRERELEASE = "prerelease"
"""What stands for the newest release of all, unfinished ones among them."""

MINIMUM = (0, 16, 0)
MINIMUM_FOR_SCHEMA = (0, 17, 0)
"""Older servers do not take a document that was written from the source; these also lack ``coglet``."""


class OldSdkError(ConfigError):
    """The release that is asked for is older than any that works.

    Args:
        what: of whom the version is, in upstream's words.
        version: as it was asked for.
        least: the oldest that works.
    """

    def __init__(self, what: str, version: str, least: str) -> None:
        super().__init__(hint=_EXAMPLE)
        self.what, self.version, self.least = what, version, least

    def __str__(self) -> str:
        return f"{self.what} {self.version} is below the minimum required version {self.least}"


_EXAMPLE = 'Name a newer one, for example: sdk_version: "0.23.1"'


def check_sdk(version: str | None, *, from_source: bool) -> None:
    """Refuse releases that are too old, as upstream does and in its words.

    Args:
        version: ``build.sdk_version``.
        from_source: whether the OpenAPI document is read from the source.

    Raises:
        ConfigError: the release is too old.
    """
    numbers = _numbers(version)
    if numbers is None:
        return
    if numbers < MINIMUM:
        raise OldSdkError("cog version", version or "", ".".join(map(str, MINIMUM)))
    if from_source and numbers < MINIMUM_FOR_SCHEMA:
        least = ".".join(map(str, MINIMUM_FOR_SCHEMA))
        what = f"SDK version {version} is not supported by static schema generation; use {least} or newer"
        raise ConfigError(what, hint=f"{_EXAMPLE}\nOr give the document yourself: --openapi-schema FILE")


def _numbers(version: str | None) -> tuple[int, ...] | None:
    """Return the release as three numbers; None where nothing comparable is given."""
    match = re.match(r"\d+\.\d+\.\d+", version or "", re.ASCII)
    parts = (match[0] if match else (version or "")).split(".")
    if len(parts) > len(MINIMUM) or not all(part.isascii() and part.isdecimal() for part in parts):
        return None
    return (*map(int, parts), 0, 0)[: len(MINIMUM)]
