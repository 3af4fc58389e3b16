"""Debian 11's Python as the last resort, asked for after everybody else failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy
import pytest

from cog_nix.errors import LockError
from cog_nix.lock.model import Artifact, Interpreter
from cog_nix.plugins.spec import PROJECT_NAME, Spec, hookimpl
from cog_nix_hooks import debian
from cog_nix_hooks.debian import older

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.plugins.spec import Context, InterpreterChoice

    from .conftest import TinyArchive

    ContextFor = Callable[..., Context]

STANZAS = (
    "Package: python3.9\nVersion: 3.9.2-1+deb11u3\nArchitecture: amd64\nFilename: p.deb\nSize: 1\nSHA256: a\n"
)


class _Unreachable:
    asked = 0

    @hookimpl
    def provide_interpreter(self) -> None:
        self.asked += 1
        raise LockError("Python 3.9.25 cannot be downloaded: no such host\nmore")


def _offer(
    version: str, context: Context, pinned: Interpreter | None = None
) -> tuple[InterpreterChoice | None, int]:
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(Spec)
    others = _Unreachable()
    for plugin in (others, older, debian):
        manager.register(plugin)
    choice = manager.hook.provide_interpreter(python_version=version, pinned=pinned, context=context)
    return choice, others.asked


@pytest.mark.parametrize("version", ["3.9", "3.9.2"])
def test_it_is_offered_where_nobody_else_can(
    archive: TinyArchive, context_for: ContextFor, version: str
) -> None:
    archive.add("bullseye", STANZAS)
    choice, asked = _offer(version, context_for(archive.url, additions=()))
    assert choice is not None
    assert asked
    assert (choice.kind, choice.suite, choice.executable) == ("debian", "bullseye", "/usr/bin/python3.9")
    assert "python3-distutils" in choice.packages


@pytest.mark.parametrize("version", ["3.8", "3.9.18"])
def test_what_it_does_not_have_fails_as_before(
    archive: TinyArchive, context_for: ContextFor, version: str
) -> None:
    archive.add("bullseye", STANZAS)
    with pytest.raises(LockError, match=r"3\.9\.25 cannot be downloaded"):
        _offer(version, context_for(archive.url, additions=()))


def test_a_suite_set_by_hand_is_not_left(archive: TinyArchive, context_for: ContextFor) -> None:
    archive.add("bullseye", STANZAS)
    archive.add("forky", "")
    with pytest.raises(LockError, match=r"3\.9\.25 cannot be downloaded"):
        _offer("3.9", context_for(archive.url, suite="forky", additions=()))


@pytest.mark.slow
def test_what_is_locked_stays_and_nobody_else_is_asked(context_for: ContextFor) -> None:
    pinned = Interpreter("debian", "3.9.2", "/usr/bin/python3.9")
    choice, asked = _offer("3.9", context_for(None), pinned)
    assert choice is not None
    assert (choice.suite, asked) == ("bullseye", 0)


def test_another_interpreter_that_is_locked_is_not_its_business(context_for: ContextFor) -> None:
    artifact = Artifact("p.tar.gz", "https://mirror.example.org/p.tar.gz", "c0", 9)
    pinned = Interpreter("standalone", "3.9.18", "/usr/local/bin/python3.9", artifact)
    assert debian.provide_interpreter("3.9", pinned, context_for(None)) is None
