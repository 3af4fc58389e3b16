"""The packages of Cog's base image: when they come, and how long a lock with them fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.build.offline import check_offline
from cog_nix.build.services import Services
from cog_nix.config.model import Build, Config, Project, RunCommand, Settings
from cog_nix.errors import FetchError, LockError, StaleLockError
from cog_nix.lock import format as lock_format
from cog_nix.plugins.manager import load
from cog_nix.plugins.spec import Context, InterpreterChoice
from cog_nix.report import SilentReporter
from cog_nix.resolve.ensure import Policy, completed, ensure_lock
from cog_nix.resolve.foundation import system_request
from cog_nix.resolve.inputs import digest
from cog_nix.resolve.request import Request, Tools
from cog_nix.store.nix import discover
from cog_nix_hooks.debian.cog_base import PACKAGES
from cog_nix_hooks.debian.settings import DebianSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.lock.model import Lock

CHOICE = InterpreterChoice("debian", "3.13", "trixie", ("python3.13",), "/usr/bin/python3.13", "python3.13")
CONFIG = Config(build=Build(system_packages=("git", "htop"), run=(RunCommand("echo hello > /hello"),)))


def _settings(answer: bool | None) -> Settings:  # noqa: FBT001 - an answer is all there is
    return Settings(tables={"debian": DebianSettings(cog_base=answer)})


class _Resolver:
    """Makes a lock that says what it was asked for."""

    def __init__(self, lock: Lock) -> None:
        self.lock = lock

    def resolve(self, request: Request) -> Lock:
        assert request.previous is None or request.project.lock_path.exists()
        assert not request.upgrade.anything
        base = request.settings.system.cog_base
        assert base is not None, "completed"
        return replace(self.lock, inputs=request.digest, cog_base=base)


@pytest.fixture
def ensured(tmp_path: Path, lock: Callable[..., Lock]) -> Callable[..., bool]:
    """Return a function that makes a lock fit, and tells whether it has the base image's packages."""
    project = Project(tmp_path, tmp_path / "cog.yaml")

    def ensure(asked: bool | None, setting: bool | None = None, *, update: bool = False) -> bool:  # noqa: FBT001
        policy = Policy(update=update, cog_base=asked)
        request = Request(project, CONFIG, _settings(setting))
        made = ensure_lock(request, policy, load(), _Resolver(lock()).resolve)
        assert made == lock_format.read(project.lock_path, project.platform)
        return made.cog_base

    return ensure


@pytest.mark.parametrize(
    ("asked", "setting", "expected"),
    [
        pytest.param(None, None, False, id="nobody-asks"),
        pytest.param(True, None, True, id="flag"),
        pytest.param(None, True, True, id="setting"),
        pytest.param(False, True, False, id="flag-beats-setting"),
    ],
)
def test_who_decides(
    asked: bool | None,  # noqa: FBT001
    setting: bool | None,  # noqa: FBT001
    expected: bool,  # noqa: FBT001
    ensured: Callable[..., bool],
) -> None:
    assert ensured(asked, setting) is expected
    assert ensured(None) is expected, "what nobody changes stays as the lock has it"


@pytest.mark.parametrize(
    ("first", "then", "words", "way_out"),
    [
        pytest.param(False, True, "made without", "--update-lock --use-cog-base-image\n", id="on"),
        pytest.param(True, False, "made with", "--update-lock --use-cog-base-image=false\n", id="off"),
    ],
)
def test_a_lock_is_stale_when_the_answer_changes(
    first: bool,  # noqa: FBT001
    then: bool,  # noqa: FBT001
    words: str,
    way_out: str,
    ensured: Callable[..., bool],
) -> None:
    ensured(first)
    with pytest.raises(StaleLockError) as caught:
        ensured(then)
    assert f"it was {words} the packages of Cog's base image" in caught.value.message
    assert way_out in caught.value.hint
    assert ensured(then, update=True) is then
    with pytest.raises(StaleLockError, match="Cog's base image") as caught:
        ensured(None, first)
    assert "--update-lock\n" in caught.value.hint


def test_its_packages_come_once_behind_the_projects_own() -> None:
    project = Project(Path(), Path("cog.yaml"))
    unused: Any = None
    tools = Tools(load(), Context(Settings(), unused, SilentReporter(), Path()))

    def asked(answer: bool | None) -> tuple[tuple[str, ...], set[str]]:  # noqa: FBT001 - as above
        request = completed(Request(project, CONFIG, _settings(answer)), None, tools.plugins, Policy())
        found = system_request(request, tools, CHOICE)
        return dict(found.groups)["system"], set(found.asked_in)

    names, places = asked(True)
    assert names[:2] == ("git", "htop")
    assert sorted(names) == sorted({*PACKAGES, "htop"})
    assert asked(None) == (("git", "htop"), set())
    assert places == set(PACKAGES)
    assert asked(False)[1] == set()


def test_a_lock_without_them_is_written_as_ever(lock: Callable[..., Lock]) -> None:
    assert "cog_base" not in lock_format.dump(lock())
    text = lock_format.dump(lock(cog_base=True))
    assert '\n "cog_base": true,\n' in text
    assert lock_format.load(text, "x").cog_base


def test_offline_a_lock_fits_what_was_asked_when_it_was_made(
    tmp_path: Path, lock: Callable[..., Lock]
) -> None:
    """Files of the project among the requirements count, as they do with the network."""
    (tmp_path / "more.txt").write_text("numpy\n")
    project = Project(tmp_path, tmp_path / "cog.yaml")
    config = replace(CONFIG, build=replace(CONFIG.build, requirements=("-r more.txt",)))
    made = lock(inputs=digest(config, _settings(True), tmp_path, PACKAGES), cog_base=True)
    lock_format.write(made, project.lock_path)

    def complaint(asked: bool | None) -> str:  # noqa: FBT001 - as above
        services = Services(load(), SilentReporter(), tmp_path / "cache")
        request = Request(project, config, Settings())
        with pytest.raises((FetchError, LockError), match="--offline") as caught:
            check_offline(request, Policy(cog_base=asked), services, discover())
        return caught.value.shown()

    assert "this machine lacks what cog-nix.lock names" in complaint(None)
    assert "does not fit cog.yaml any more" in complaint(False)
    (tmp_path / "more.txt").write_text("scipy\n")
    assert "does not fit cog.yaml any more" in complaint(None)
