"""Which lock a build goes by: the one that fits, a new one, or a refusal that says what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import Build, Config, Project, RunCommand, Settings
from cog_nix.errors import LockError, StaleLockError
from cog_nix.lock import format as lock_format
from cog_nix.lock.model import Artifact, Interpreter
from cog_nix.lock.reasons import parse
from cog_nix.lock.upgrade import Upgrade
from cog_nix.plugins.manager import load
from cog_nix.resolve import wheel_facts
from cog_nix.resolve.ensure import Policy, ensure_lock, sdk_version
from cog_nix.resolve.inputs import digest
from cog_nix.resolve.request import Request
from tests.elf.made import make_elf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.lock.model import Lock

_COMMANDS = (RunCommand("echo hello > /hello"),)
_CONFIG = Config(build=Build(run=_COMMANDS))
_OTHER = Config(build=Build(run=_COMMANDS, requirements=("numpy",)))


class _Resolver:
    """Answers with one lock, and remembers what it was asked."""

    def __init__(self, lock: Lock) -> None:
        self.lock = lock
        self.asked: list[tuple[Lock | None, Upgrade]] = []

    def resolve(self, request: Request) -> Lock:
        assert request.project.lock_path.parent.is_dir()
        assert request.digest == digest(_CONFIG, Settings())
        self.asked.append((request.previous, request.upgrade))
        return self.lock


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return an empty project."""
    return Project(tmp_path, tmp_path / "cog.yaml")


def _unused(request: Request) -> Lock:
    raise AssertionError(request)


def _ensure(project: Project, resolver: Any, config: Config = _CONFIG, policy: Policy | None = None) -> Lock:
    request = Request(project, config, Settings())
    return ensure_lock(request, policy or Policy(), load(), getattr(resolver, "resolve", _unused))


def test_a_first_lock_is_made_and_written(project: Project, lock: Callable[..., Lock]) -> None:
    resolver = _Resolver(lock())
    assert _ensure(project, resolver) == lock() == lock_format.read(project.lock_path, project.platform)
    assert resolver.asked == [(None, Upgrade())]


def test_a_lock_that_fits_is_used_without_resolving(project: Project, lock: Callable[..., Lock]) -> None:
    fitting = lock(inputs=digest(_CONFIG, Settings()))
    lock_format.write(fitting, project.lock_path)
    assert _ensure(project, None) == fitting


def test_a_stale_lock_is_refused_with_both_ways_out(project: Project, lock: Callable[..., Lock]) -> None:
    lock_format.write(lock(inputs=digest(_OTHER, Settings())), project.lock_path)
    before = project.lock_path.read_bytes()
    with pytest.raises(StaleLockError) as error:
        _ensure(project, None)
    assert "cog-nix.lock does not fit cog.yaml any more" in error.value.message
    assert "cog-nix build --update-lock" in error.value.hint
    assert "cog-nix lock --upgrade" in error.value.hint
    assert project.lock_path.read_bytes() == before


@pytest.mark.parametrize(
    "policy",
    [
        Policy(update=True),
        Policy(upgrade=Upgrade(everything=True)),
        Policy(upgrade=Upgrade(names=frozenset({"numpy"}))),
    ],
    ids=["update", "upgrade-all", "upgrade-one"],
)
def test_a_stale_lock_is_replaced_where_that_is_asked_for(
    project: Project, lock: Callable[..., Lock], policy: Policy
) -> None:
    former, new = lock(inputs="sha256:old"), lock(inputs="sha256:new")
    lock_format.write(former, project.lock_path)
    resolver = _Resolver(new)
    assert (
        _ensure(project, resolver, policy=policy)
        == new
        == lock_format.read(project.lock_path, project.platform)
    )
    assert resolver.asked == [(former, policy.upgrade)]


def test_an_unknown_name_is_refused_with_the_closest(project: Project, lock: Callable[..., Lock]) -> None:
    lock_format.write(lock(), project.lock_path)
    with pytest.raises(LockError) as error:
        _ensure(project, None, policy=Policy(upgrade=Upgrade(names=frozenset({"nunpy"}))))
    assert (error.value.message, error.value.hint) == ("nunpy is not in the lock.", "Did you mean numpy?")


def test_the_interpreter_may_move_by_name_where_it_is_no_package(
    project: Project, lock: Callable[..., Lock]
) -> None:
    upgrade = Policy(upgrade=Upgrade(names=frozenset({"python"})))
    lock_format.write(lock(), project.lock_path)
    with pytest.raises(LockError, match="python is not in the lock"):
        _ensure(project, None, policy=upgrade)
    archive = Artifact("cpython.tar.gz", "https://mirror.example.org/cpython.tar.gz", "c0" * 32, 9)
    python = Interpreter("standalone", "3.12.11", "/usr/local/bin/python3.12", archive)
    layers = [
        (name, tuple("interpreter" if one == "venv" else one for one in members))
        for name, members in lock().layers
    ]
    unpacked = lock(interpreter=python, layers=tuple(layers))
    lock_format.write(unpacked, project.lock_path)
    resolver = _Resolver(unpacked)
    _ensure(project, resolver, policy=upgrade)
    assert resolver.asked == [(unpacked, upgrade.upgrade)]


def test_a_damaged_lock_is_refused_and_made_anew_with_everything(
    project: Project, lock: Callable[..., Lock]
) -> None:
    project.lock_path.write_text("<<<<<<< HEAD")
    with pytest.raises(LockError, match="has a conflict of a merge"):
        _ensure(project, None, policy=Policy(update=True))
    resolver = _Resolver(lock())
    assert _ensure(project, resolver, policy=Policy(upgrade=Upgrade(everything=True))) == lock()
    assert resolver.asked[0][0] is None


def test_when_resolving_fails_the_lock_is_as_it_was(project: Project, lock: Callable[..., Lock]) -> None:
    class Fails:
        def resolve(self, _request: Request) -> Lock:
            raise LockError("no such package")

    lock_format.write(lock(), project.lock_path)
    before = project.lock_path.read_bytes()
    with pytest.raises(LockError, match="no such package"):
        _ensure(project, Fails(), policy=Policy(update=True))
    assert project.lock_path.read_bytes() == before


def test_the_sdks_version_is_the_wheels(lock: Callable[..., Lock]) -> None:
    assert sdk_version(lock()) == "0.23.1"
    with pytest.raises(LockError, match="The lock holds no cog"):
        sdk_version(lock(wheels=()))


def test_locking_looks_at_the_projects_libraries_again(project: Project, lock: Callable[..., Lock]) -> None:
    fitting = lock(inputs=digest(_CONFIG, Settings()))
    lock_format.write(fitting, project.lock_path)
    look = Policy(update=True, look_at_project=True)
    assert _ensure(project, None, policy=look) == fitting
    (project.root / "mine.so").write_bytes(make_elf("libGL.so.1"))
    assert _ensure(project, None) == fitting
    resolver = _Resolver(
        replace(fitting, reasons=(parse("libgl1", "The project: mine.so needs libGL.so.1"),))
    )
    assert _ensure(project, resolver, policy=look).reasons == resolver.lock.reasons
    (project.root / "mine.so").unlink()
    assert _ensure(project, _Resolver(fitting), policy=look) == fitting


@pytest.mark.parametrize("update", [False, True], ids=["build", "lock"])
def test_a_lock_that_whole_files_refute_is_made_anew_where_that_is_allowed(
    project: Project,
    lock: Callable[..., Lock],
    monkeypatch: pytest.MonkeyPatch,
    update: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    former = lock(inputs=digest(_CONFIG, Settings()))
    lock_format.write(former, project.lock_path)
    monkeypatch.setattr(wheel_facts, "is_refuted", lambda known, _: known == former)
    resolver = _Resolver(replace(former, reasons=(parse("bash", "new"),)))
    made = _ensure(project, resolver, policy=Policy(update=update))
    assert made == (resolver.lock if update else former)
    assert [asked for asked, _ in resolver.asked] == ([former] if update else [])


def test_a_new_program_in_the_source_is_no_stale_lock_and_is_looked_for_when_locking(
    project: Project, lock: Callable[..., Lock]
) -> None:
    (project.root / "predict.py").write_text("import os\nos.system('jq .')\n")
    inputs = digest(_CONFIG, Settings())
    without, with_it = lock(inputs=inputs, programs=()), lock(inputs=inputs, programs=("jq",))
    lock_format.write(without, project.lock_path)
    assert _ensure(project, None) == without
    for policy in (Policy(update=True), Policy(update=True, look_at_project=True)):
        lock_format.write(without, project.lock_path)
        assert _ensure(project, _Resolver(with_it), policy=policy) == with_it
        assert _ensure(project, None, policy=policy) == with_it


def test_a_lock_that_knows_no_programs_stays_valid(project: Project, lock: Callable[..., Lock]) -> None:
    old = lock(inputs=digest(_CONFIG, Settings()))
    lock_format.write(old, project.lock_path)
    assert '"programs"' not in project.lock_path.read_text()
    assert _ensure(project, None) == old
    assert _ensure(project, None, policy=Policy(update=True)) == old
