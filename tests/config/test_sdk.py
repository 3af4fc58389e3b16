"""``build.sdk_version``: what is too old."""

from __future__ import annotations

import pytest

from cog_nix.config.sdk import check_sdk
from cog_nix.errors import ConfigError


@pytest.mark.parametrize(
    "version", [None, "prerelease", "0.17.0", "0.17", "0.17.0a1", "1", "latest", "0.23.1"]
)
def test_new_enough(version: str | None) -> None:
    check_sdk(version, from_source=True)


@pytest.mark.parametrize("version", ["0.15.9", "0.15.9a1", "0.1", "0"])
@pytest.mark.parametrize("from_source", [True, False])
def test_too_old(version: str, from_source: bool) -> None:  # noqa: FBT001 - a parameter
    with pytest.raises(
        ConfigError, match=f"cog version {version} is below the minimum required version 0.16.0"
    ):
        check_sdk(version, from_source=from_source)


def test_too_old_for_a_document_of_the_source() -> None:
    with pytest.raises(ConfigError, match=r"SDK version 0\.16\.3 is not supported"):
        check_sdk("0.16.3", from_source=True)
    check_sdk("0.16.3", from_source=False)
