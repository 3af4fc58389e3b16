"""Which images a runtime is told to pull."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from cog_nix.cli.runtimes import hold
from cog_nix.cli.session import Session
from cog_nix.errors import PluginError
from cog_nix.plugins import manager
from cog_nix.system.platforms import ARM64, Platform

if TYPE_CHECKING:
    from cog_nix.plugins.spec import Runtime

_IMAGE = "registry.example.org/you/greeter"


class _Runtime:
    name = "told"

    def __init__(self) -> None:
        self.pulled: list[object] = []

    def image_id(self, _: str) -> None:
        """Hold nothing."""

    def pull(self, _reference: str, _reporter: object, platform: Platform | None = None) -> None:
        self.pulled.append(platform)


class _OlderRuntime(_Runtime):
    """One of a plugin that was written before ``pull`` was told of platforms."""

    name = "older"

    def pull(self, reference: str, _reporter: object) -> None:  # type: ignore[override]
        self.pulled.append(reference)


def _hold(runtime: _Runtime, platform: str | None) -> list[object]:
    session = Session(manager.load({"COG_NIX_PLUGINS": "0"}))
    hold(session, cast("Runtime", runtime), _IMAGE, platform)
    return runtime.pulled


def test_a_runtime_is_told_of_the_platform_that_is_named() -> None:
    assert _hold(_Runtime(), "linux/arm64") == [ARM64]
    assert _hold(_Runtime(), None) == [None]


def test_one_that_knows_no_platforms_goes_on_as_long_as_none_is_named() -> None:
    assert _hold(_OlderRuntime(), None) == [_IMAGE]


def test_one_that_knows_no_platforms_is_named_with_its_plugin() -> None:
    runtime = _OlderRuntime()
    with pytest.raises(PluginError) as caught:
        _hold(runtime, "linux/arm64")
    plugin = __name__.partition(".")[0]
    assert str(caught.value) == (
        f"The runtime older of the plugin {plugin} pulls images for the machine's own platform alone, "
        f"so {_IMAGE} cannot be had for linux/arm64."
    )
    assert not runtime.pulled
