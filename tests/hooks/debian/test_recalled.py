"""Which packages of an archive cog-nix's own programs are made of, and on whose word."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import Settings
from cog_nix.plugins.manager import load
from cog_nix.plugins.spec import Context
from cog_nix.report import SilentReporter
from cog_nix_hooks.debian import pins, programs
from cog_nix_hooks.debian.settings import DebianSettings

if TYPE_CHECKING:
    from pathlib import Path

OURS, THEIRS = "a" * 64, "b" * 64


def made(sha256: str) -> pins.Pins:
    pin = pins.Pin("nix-bin", "2.26.3", "main", "pool/main/n/nix/nix-bin_2.26.3_amd64.deb", sha256, 3)
    return pins.Pins("2026-01-01T00:00:00Z", {"nix": (pin,), "container": ()}, released=False)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """Return services of a checkout, which has no pins of its own; nothing can be fetched."""
    monkeypatch.setattr(pins, "PINS_FILE", tmp_path / "none.json")
    fetcher: Any = None
    return Context(Settings(), fetcher, SilentReporter(), tmp_path / "cache")


def recalled(record: str, context: Context, *, trusted: bool) -> bool | None:
    return load({"COG_NIX_PLUGINS": "0"}).recall_programs("nix", record, trusted, context)


def record(sha256: str) -> str:
    return json.dumps(made(sha256).plain())


def test_what_is_described_is_what_is_recalled(context: Context, tmp_path: Path) -> None:
    settings = Settings(tables={"debian": DebianSettings(mirror="http://mirror.example.org/debian")})
    context = replace(context, settings=settings)
    pins.take(made(OURS), context.cache_dir)
    told = load({"COG_NIX_PLUGINS": "0"}).describe_programs("nix", context)
    assert told is not None
    assert [(one.url, one.sha256) for one in told.files] == [
        ("http://mirror.example.org/debian/pool/main/n/nix/nix-bin_2.26.3_amd64.deb", OURS)
    ]
    elsewhere = replace(context, cache_dir=tmp_path / "elsewhere")
    assert recalled(told.record, elsewhere, trusted=True)
    assert pins.current(elsewhere.cache_dir) == made(OURS)


def test_a_stranger_s_packages_are_left_alone(context: Context) -> None:
    assert recalled(record(THEIRS), context, trusted=False) is False
    assert pins.current(context.cache_dir) is None


def test_they_count_on_the_user_s_word(context: Context) -> None:
    assert recalled(record(THEIRS), context, trusted=True)
    assert pins.current(context.cache_dir) == made(THEIRS)


def test_others_than_ours_do_not_take_their_place(context: Context) -> None:
    pins.take(made(OURS), context.cache_dir)
    assert recalled(record(THEIRS), context, trusted=False) is False
    assert pins.current(context.cache_dir) == made(OURS)


def test_ours_need_nobody_s_word(context: Context) -> None:
    pins.take(made(OURS), context.cache_dir)
    assert recalled(record(OURS), context, trusted=False)


def test_what_is_unpacked_stays(context: Context) -> None:
    pins.take(made(OURS), context.cache_dir)
    programs.folder("nix", made(OURS), context.cache_dir).mkdir(parents=True)
    assert recalled(record(THEIRS), context, trusted=False)
    assert recalled(record(THEIRS), context, trusted=True)
    assert pins.current(context.cache_dir) == made(OURS)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"date": "x", "programs": {}}',
        '{"date": "x", "programs": {"nix": [3]}}',
        '{"programs": 1}',
    ],
)
@pytest.mark.parametrize("trusted", [True, False])
def test_a_record_that_is_none_says_nothing(text: str, context: Context, trusted: bool) -> None:  # noqa: FBT001
    assert recalled(text, context, trusted=trusted) is None
    assert pins.current(context.cache_dir) is None
