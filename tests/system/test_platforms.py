"""Platforms by their names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cog_nix.system import platforms
from cog_nix.system.platforms import AMD64, ARM64, PLATFORMS, host_platform, parse_platform

_BUILDERS = Path(__file__).resolve().parents[2] / "nix/builders"


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/arm64", ARM64),
        ("arm64", ARM64),
        ("Linux/AArch64", ARM64),
        ("linux/arm64/v8", ARM64),
        ("linux/x86_64", AMD64),
        ("amd64", AMD64),
        ("linux/arm64/v7", None),
        ("linux/arm/v7", None),
        ("linux/riscv64", None),
        ("windows/amd64", None),
        ("linux/", None),
        ("", None),
    ],
)
def test_names(text: str, platform: platforms.Platform | None) -> None:
    assert parse_platform(text) == platform


def test_each_is_found_by_its_own_name() -> None:
    assert {name: parse_platform(name) for name in PLATFORMS} == dict(PLATFORMS)
    assert all(str(one) == name for name, one in PLATFORMS.items())


def test_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def machine(system: str, name: str) -> os.uname_result:
        return os.uname_result((system, "", "", "", name))

    for (system, name), expected in {
        ("Linux", "aarch64"): ARM64,
        ("Linux", "x86_64"): AMD64,
        ("Linux", "riscv64"): None,
        ("Darwin", "arm64"): None,
    }.items():
        monkeypatch.setattr(os, "uname", lambda system=system, name=name: machine(system, name))
        assert host_platform() == expected


def test_builders_read_what_nix_hands_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(_BUILDERS))
    import target  # noqa: PLC0415 - a module of builders

    known = json.loads(Path(platforms.__file__).with_name("platforms.json").read_text())
    assert target.read("") == target.read(json.dumps(known["linux/amd64"]))
    assert target.read(json.dumps(known[platforms.BUILDER.name])) == target.BUILDER
    arm = target.read(json.dumps(known["linux/arm64"]))
    assert (arm.debian, arm.triplet, arm.elf_machine) == ("arm64", "aarch64-linux-gnu", 183)
