"""Where Nix runs: here where builds can be isolated, in a container where not, and why nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.container import choose as choosing
from cog_nix.container.choose import Place, choose
from cog_nix.errors import NixError
from cog_nix.namespaces.causes import Obstacle
from cog_nix.plugins.manager import load
from cog_nix.plugins.spec import WorkerRequest, hookimpl
from cog_nix.store.nix import Nix

if TYPE_CHECKING:
    from cog_nix.plugins.manager import Plugins
    from cog_nix.plugins.spec import Worker

OBSTACLE = Obstacle("setting", "The kernel says no.", "sudo sysctl -w a.b=1")
HERE = Nix(Path("/here"), "own", Path("/store"))


class Offers:
    """A plugin with a runtime that can run Nix, and one that cannot."""

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason

    @hookimpl
    def runtime_names(self) -> tuple[str, ...]:
        return ("without", "able")

    @hookimpl
    def provide_runtime(self, name: str) -> object:
        return {"without": Without(), "able": Able(self.reason)}.get(name)


class Without:
    """Runs images, and no namespaces in them."""

    name = title = "without"

    def available(self) -> str | None:
        return None


class Able:
    name, title = "able", "Able"

    def __init__(self, reason: str | None) -> None:
        self._reason = reason

    def available(self) -> str | None:
        return self._reason

    def start_worker(self, request: WorkerRequest) -> Worker:
        raise AssertionError(request)


def plugins(reason: str | None = None) -> Plugins:
    found = load({"COG_NIX_PLUGINS": "0"})
    for module in ("cog_nix_hooks.docker", "cog_nix_hooks.bundle"):
        found.manager.unregister(name=module)
    found.manager.register(Offers(reason), name="offers")
    return found


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what a place is made of, on a machine without a daemon of Nix."""
    monkeypatch.setattr("cog_nix.store.nix._daemon_answers", lambda _path: False)
    return {
        "plugins": plugins(),
        "context": None,
        "folders": [],
        "cache": tmp_path / "cache",
        "environment": {"XDG_DATA_HOME": str(tmp_path / "data")},
    }


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[Obstacle | None]:
    """Return a list whose last item is what trying namespaces gives; trying takes it away."""
    found: list[Obstacle | None] = []
    monkeypatch.setattr(choosing, "why_no_namespaces", found.pop)
    return found


def test_nix_runs_here_where_it_can_and_that_is_tried_once(
    where: dict[str, Any], tried: list[Obstacle | None]
) -> None:
    tried.append(None)
    assert choose(Place(**where), lambda: HERE) is HERE
    assert choose(Place(**where), lambda: HERE) is HERE
    # Another boot, user or container tries again.
    (where["cache"] / "namespaces").write_text("elsewhere")
    with pytest.raises(IndexError):
        choose(Place(**where), lambda: HERE)


def test_nix_runs_in_the_first_container_that_can_run_it(
    where: dict[str, Any], tried: list[Obstacle | None], tmp_path: Path
) -> None:
    tried.append(OBSTACLE)
    found = choose(Place(**where), lambda: HERE)
    assert (found.kind, found.root) == ("own", tmp_path / "data/cog-nix/store")
    assert found.within is not None
    assert not (where["cache"] / "namespaces").exists()
    assert not found.bin_dir.exists(), "nothing is started before a program is asked for"


def test_a_daemon_isolates_builds_itself(
    where: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tried: list[Obstacle | None]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("cog_nix.store.nix._daemon_answers", lambda _path: True)
    assert choose(Place(**where), lambda: HERE) is HERE
    where["environment"]["COG_NIX_STORE"] = "/mine"  # which the daemon does not know
    tried.append(OBSTACLE)
    assert choose(Place(**where), lambda: HERE).within is not None


def test_a_container_can_be_asked_for(where: dict[str, Any]) -> None:
    for value in ("container", "container:able"):
        where["environment"]["COG_NIX_NIX"] = value
        assert choose(Place(**where), lambda: HERE).within is not None
    where["environment"]["COG_NIX_NIX"] = "container:without"
    with pytest.raises(NixError, match="no plugin runs it in without"):
        choose(Place(**where), lambda: HERE)


def test_where_nothing_serves_the_cause_and_its_remedy_are_told(
    where: dict[str, Any], tried: list[Obstacle | None]
) -> None:
    tried.append(OBSTACLE)
    where["plugins"] = plugins("It is switched off.")
    with pytest.raises(NixError) as caught:
        choose(Place(**where), lambda: HERE)
    assert caught.value.shown() == (
        "The kernel says no.\n"
        "Without them Nix can run in a container, and there is nothing to run one:\n"
        "  able: It is switched off.\n\n"
        "sudo sysctl -w a.b=1"
    )
