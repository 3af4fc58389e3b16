"""Kept models of a fake runtime, in a place of the test's own."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.keep import client, keeper, place, start
from cog_nix.keep.request import KeepRequest
from cog_nix.plugins import manager
from cog_nix.plugins.spec import ContainerRequest
from cog_nix.system.scratch import remove
from tests.runtime.conftest import FakeModel, FakeRuntime, fake_runtime, model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["fake_runtime", "model"]


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for sockets that nothing else uses."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    return runtime / "cog-nix/kept"


def request(image: str = "sha256:one", *, keep: int = 60, **more: Any) -> KeepRequest:
    """Return a request for the image ``model`` of a project."""
    container = ContainerRequest("model", env=more.pop("env", {}), gpus=more.pop("gpus", None))
    return KeepRequest(container, image, "docker", "Docker", "/project", 20, keep, **more)


class Kept:
    """Keepers that run in threads of the test."""

    def __init__(self) -> None:
        self.threads: dict[str, threading.Thread] = {}
        self.given_up = threading.Event()

    def start(self, wanted: KeepRequest) -> str:
        """Do what :func:`cog_nix.keep.start.start` does, without a process."""
        name, server, lock = place.make(wanted.slot)

        def run() -> None:
            try:
                keeper.Keeper(KeepRequest.read(wanted.written()), server, self.given_up.set).run()
            finally:
                server.shutdown(2)
                server.close()
                remove(f"{place.parent()}/{name}")
                os.close(lock)

        self.threads[name] = threading.Thread(target=run)
        self.threads[name].start()
        return name


@pytest.fixture
def kept(fake_runtime: FakeRuntime, model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """Models start as threads, in the fake runtime."""
    del model
    made = Kept()
    monkeypatch.setattr(manager, "load", lambda: None)
    monkeypatch.setattr(manager, "find_runtime", lambda *_: fake_runtime)
    monkeypatch.setattr(start, "start", made.start)
    yield made
    for name in place.names():
        assert client.stop(name, 10)
    for thread in made.threads.values():
        thread.join(10)
        assert not thread.is_alive()
