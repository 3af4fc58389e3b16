"""Work in several threads, and an interruption while they are being started."""

from __future__ import annotations

import threading

import pytest

from cog_nix.fetch.parallel import run_all


def test_results_keep_the_order_of_their_tasks() -> None:
    assert run_all([lambda: 1, lambda: 2, lambda: 3], 2, threading.Event()) == [1, 2, 3]


def test_the_first_failure_ends_the_others() -> None:
    cancelled = threading.Event()

    def fail() -> None:
        message = "broken"
        raise ValueError(message)

    with pytest.raises(ValueError, match="broken"):
        run_all([fail, lambda: cancelled.wait(30)], 2, cancelled)
    assert cancelled.is_set()


def test_an_interruption_before_every_thread_was_started_is_what_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cancelled = threading.Event()
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def interrupted(thread: threading.Thread) -> None:
        if started:
            raise KeyboardInterrupt
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_all([lambda: cancelled.wait(30)] * 3, 3, cancelled)
    assert cancelled.is_set()
    assert not started[0].is_alive()
