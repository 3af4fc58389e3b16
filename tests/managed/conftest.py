"""A hub, a registry and a store for managed weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.config.model import Config, Weight, WeightSource
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.managed.source import Surroundings
from cog_nix.registry.client import Repository
from cog_nix.registry.credentials import Credentials
from cog_nix.registry.reference import Reference
from cog_nix.report import SilentReporter
from cog_nix.weights.store import WeightsStore
from tests.managed import website
from tests.managed.hub import Hub, serving
from tests.registry.conftest import Faulty, faulty, registry, start_registry  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

QUICK = RetryPolicy(attempts=4, delay=0.01)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Return a hub that serves."""
    folder = tmp_path / "hub"
    folder.mkdir()
    with serving(Hub(folder)) as found:
        yield found


@pytest.fixture
def server() -> Iterator[website.Server]:
    """Return a server that serves."""
    found = website.Server()
    with website.serving(found):
        yield found


@pytest.fixture
def around(tmp_path: Path, hub: Hub) -> Surroundings:
    """Return what imports work with: an empty store, the hub and little patience."""
    store = WeightsStore(tmp_path / "store")
    return Surroundings(store, SilentReporter(), {"HF_ENDPOINT": hub.endpoint}, QUICK)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder of a project."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def weight(*uris: str, name: str = "unet", **patterns: tuple[str, ...]) -> Weight:
    """Return a weight of cog.yaml; the patterns are those of all its sources."""
    return Weight(name, f"/src/{name}", tuple(WeightSource(uri, **patterns) for uri in uris))


def config_of(*weights: Weight) -> Config:
    """Return a configuration with these weights."""
    return Config(model="registry.example.org/me/model", weights=weights)


@pytest.fixture
def connect() -> Callable[[str], Repository]:
    """Return a function that names a repository of a registry, by ``host/name``."""

    def call(name: str) -> Repository:
        return Repository(Reference.parse(f"{name}:latest"), Credentials(), policy=QUICK)

    return call
