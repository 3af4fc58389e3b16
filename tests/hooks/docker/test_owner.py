"""Whose a container is, and when that one is gone for sure."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix_hooks.docker import owner
from cog_nix_hooks.docker.owner import Owner, remove_abandoned, this_process

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def me() -> Owner:
    found = this_process()
    assert found is not None
    return found


@pytest.fixture
def ended() -> Iterator[int]:
    """The number of a process that has ended and that nobody has asked about (a zombie)."""
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid


def test_labels_say_what_was_written_into_them(me: Owner) -> None:
    assert Owner.read(me.labels) == me
    assert me.labels["run.cog.nix.owner"] == str(os.getpid())
    assert Owner.read({"run.cog.nix.owner": "7"}) is None  # of an earlier version
    assert Owner.read({**me.labels, "run.cog.nix.owner": "x"}) is None


def test_who_lives_is_not_gone(me: Owner) -> None:
    assert not me.is_gone(me)


def test_who_has_ended_is_gone(me: Owner, ended: int) -> None:
    assert replace(me, pid=ended).is_gone(me)
    assert replace(me, pid=2**22 + 1).is_gone(me)  # more than there can be


def test_a_number_that_is_used_again_is_another_process(me: Owner) -> None:
    assert replace(me, ticks=me.ticks - 1).is_gone(me)


def test_who_was_there_before_the_machine_started_anew_is_gone(me: Owner) -> None:
    assert replace(me, boot="another").is_gone(me)


@pytest.mark.parametrize(
    "other",
    [{"machine": "another"}, {"machine": "another", "boot": "another"}, {"namespace": "another"}],
    ids=["machine", "its-boot", "container"],
)
def test_who_cannot_be_seen_from_here_may_live(me: Owner, ended: int, other: dict[str, str]) -> None:
    assert not replace(me, pid=ended, **other).is_gone(me)  # type: ignore[arg-type]


def test_who_is_hidden_from_other_users_lives(me: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int, _number: int) -> None:
        raise PermissionError

    hidden = replace(me, pid=2**22 + 1)  # /proc has no such process
    monkeypatch.setattr(owner.os, "kill", refuse)  # type: ignore[attr-defined]
    assert not hidden.is_gone(me)


def test_only_what_is_surely_abandoned_is_removed(me: Owner, ended: int) -> None:
    class Daemon:
        """One that does not filter."""

        removed: list[str] = []  # noqa: RUF012 - of this test alone

        def containers(self, **asked: Any) -> list[dict[str, Any]]:
            assert asked == {"all": True, "filters": {"label": f"run.cog.nix.owner.machine={me.machine}"}}
            owners = {
                "mine": me,
                "left": replace(me, pid=ended),
                "elsewhere": replace(me, pid=ended, machine="another"),
            }
            others = [{"Id": "theirs", "Labels": None}, {"Id": "old", "Labels": {"run.cog.nix.owner": "1"}}]
            return [*({"Id": name, "Labels": one.labels} for name, one in owners.items()), *others]  # type: ignore[list-item]

        def remove_container(self, name: str, *, force: bool, v: bool) -> None:
            assert force
            assert v
            self.removed.append(name)

    daemon = Daemon()
    remove_abandoned(daemon)  # type: ignore[arg-type]
    assert daemon.removed == ["left"]
