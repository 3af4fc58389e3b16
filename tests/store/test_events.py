"""Nix's event stream, as it was recorded from real builds (Nix 2.8) and as it may come damaged."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.report import SilentReporter
from cog_nix.store import events

if TYPE_CHECKING:
    from collections.abc import Iterator

_RECORDED = Path(__file__).parent / "recorded"


class _Bar:
    def __init__(self) -> None:
        self.done = self.total = 0
        self.texts: list[str] = []

    def advance(self, amount: int) -> None:
        assert amount >= 0, "work is never undone"
        self.done += amount

    def describe(self, text: str) -> None:
        self.texts.append(text)

    def expect(self, total: int) -> None:
        self.total = total


class _Reporter(SilentReporter):
    def __init__(self) -> None:
        self.bar = _Bar()
        self.logged: list[str] = []

    def log(self, text: str) -> None:
        self.logged.append(text)

    @contextmanager
    def steps_bar(self, text: str, total: int | None) -> Iterator[_Bar]:  # noqa: ARG002 - a reporter's signature
        yield self.bar


def _replay(name: str) -> tuple[events.Log, _Reporter]:
    reporter = _Reporter()
    with events.watch(reporter) as log:
        for line in (_RECORDED / name).read_text(encoding="utf-8").splitlines():
            log.feed(line)
    return log, reporter


def test_builds_advance_the_bar_and_their_lines_are_logged() -> None:
    log, reporter = _replay("two-builds.txt")
    assert (reporter.bar.done, reporter.bar.total) == (2, 2)
    assert reporter.bar.texts == ["inner", "outer"]
    assert reporter.logged == [
        "building inner",
        "inner> hello",
        "inner> red",
        "building outer",
        "outer> needs /nix/store/4fjlmxq0r59ymmnv31qr4360apxni45k-inner",
    ]
    assert (log.errors(), log.failed_name(), log.failed_log()) == ("", None, [])


def test_the_end_of_each_build_is_told() -> None:
    ended: list[str] = []
    with events.watch(SilentReporter(), ended.append) as log:
        for line in (_RECORDED / "two-builds.txt").read_text(encoding="utf-8").splitlines():
            log.feed(line)
    assert [events.readable(path) for path in ended] == ["inner", "outer"]


def test_a_failed_builder_is_known_by_name_with_what_it_printed() -> None:
    log, reporter = _replay("builder-failed.txt")
    assert log.failed_name() == "broken-1.0"
    assert log.failed_log() == [
        "Setting up some (1.0)",
        "/var/lib/dpkg/info/some.postinst: 3: odd: not found",
        "cog-nix: dpkg --configure ended with status 1",
    ]
    assert log.errors().startswith("builder for '/nix/store/")
    assert "\x1b" not in log.errors()
    assert reporter.bar.done == 0


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("builder for '/nix/store/a5fyyj1wnymc1ds1y95ic6apndnp912a-x-1.drv' failed with exit code 1", "x-1"),
        (
            "Cannot build '/nix/store/a5fyyj1wnymc1ds1y95ic6apndnp912a-x-1.drv'.\nReason: builder failed",
            "x-1",
        ),
        ("cannot build '/nix/store/a5fyyj1wnymc1ds1y95ic6apndnp912a-a-b.drv'", "a-b"),
        ("something else", None),
    ],
    ids=["2.8", "2.30", "short", "no-build"],
)
def test_the_failed_derivation_is_found_in_each_versions_words(said: str, name: str | None) -> None:
    log = events.Log(SilentReporter(), _Bar())
    log.feed(f"error: {said}")
    assert log.failed_name() == name


@pytest.mark.parametrize(
    "line",
    [
        "@nix not json",
        "@nix []",
        "@nix {}",
        '@nix {"action":"start"}',
        '@nix {"action":"start","id":1,"type":105,"fields":[]}',
        '@nix {"action":"stop"}',
        '@nix {"action":"result","id":1,"type":101,"fields":[]}',
        '@nix {"action":"result"}',
        '@nix {"action":"msg","level":0}',
        '@nix {"action":"new in some version","id":1}',
        "",
        "   ",
    ],
)
def test_lines_that_nobody_expects_are_passed_over(line: str) -> None:
    log = events.Log(SilentReporter(), _Bar())
    log.feed(line)
    assert log.errors() == ""


def test_words_outside_the_stream_are_errors_without_colours() -> None:
    log = events.Log(SilentReporter(), _Bar())
    log.feed("\x1b[31;1merror:\x1b[0m cannot open connection")
    log.feed("error: \0\0\x05bytes")
    assert log.errors() == "error: cannot open connection\nerror: bytes"


def test_only_the_last_lines_of_a_long_log_are_kept() -> None:
    log = events.Log(SilentReporter(), _Bar())
    log.feed('@nix {"action":"start","id":7,"type":105,"fields":["/nix/store/0-long.drv"]}')
    for number in range(5000):
        log.feed(f'@nix {{"action":"result","id":7,"type":101,"fields":["line {number}"]}}')
    log.feed("error: builder for '/nix/store/0-long.drv' failed")
    assert len(log.failed_log()) == 400
    assert log.failed_log()[-1] == "line 4999"


def test_lines_of_builds_that_run_at_once_are_told_apart() -> None:
    reporter = _Reporter()
    log = events.Log(reporter, _Bar())
    for number, name in ((1, "one"), (2, "two")):
        log.feed(f'@nix {{"action":"start","id":{number},"type":105,"fields":["/nix/store/0-{name}.drv"]}}')
    for number, text in ((1, "a"), (2, "b"), (1, "c")):
        log.feed(f'@nix {{"action":"result","id":{number},"type":101,"fields":["{text}"]}}')
    log.feed("error: builder for '/nix/store/0-one.drv' failed")
    assert log.failed_log() == ["a", "c"]
    assert reporter.logged[-3:] == ["one> a", "two> b", "one> c"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("warning: unable to download 'http://c/nix-cache-info': it is gone (7)", "unable to download"),
        ("error: cannot build on 'ssh-ng://b': error: no route", "cannot build on 'ssh-ng://b'"),
        ("warning: unable to download 'http://c/a.narinfo': it is gone; retrying in 250 ms", ""),
        ("error: the group 'nixbld' does not exist", ""),
    ],
    ids=["cache", "builder", "tried-again", "something-else"],
)
def test_what_caches_and_builders_fail_to_do_is_told(said: str, told: str) -> None:
    assert events.of_others(said).startswith(told)
    assert bool(events.of_others(said)) == bool(told)


def test_many_messages_of_one_kind_are_few() -> None:
    assert events.few(["a", "b", "a"]) == ["a", "b"]
    assert events.few("abcde") == ["a", "b", "c", "and 2 more of this kind"]


def test_bytes_of_copies_advance_the_bar_and_are_not_kept() -> None:
    bar = _Bar()
    log = events.Log(_Reporter(), bar, copies=True)
    copy = '@nix {"action":"start","fields":["/nix/store/a-b","s","l"],"id":7,"level":3,"text":"","type":100}'
    assert log.feed(copy) is None
    for kind, amount in ((100, 30000), (101, 400)):
        log.feed(f'@nix {{"action":"result","fields":[{kind},{amount}],"id":1,"type":106}}')
    for done, activity in ((8192, 7), (20000, 7), (50, 8)):
        line = f'@nix {{"action":"result","fields":[{done},30000,0,0],"id":{activity},"type":105}}'
        assert log.feed(line) is False
    assert (bar.done, bar.total, log.copied) == (20000, 30000, 1)
