"""Which images are removed when they lose their name. With real daemons: test_deltas."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix_hooks.docker.failures import DaemonError
from cog_nix_hooks.docker.images import ImageInfo
from cog_nix_hooks.docker.prune import remove_replaced

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Daemon:
    """Images by id, some of them in use."""

    held: dict[str, ImageInfo]
    used: set[str] = field(default_factory=set)
    host: str = "unix:///a"

    def find(self, reference: str) -> ImageInfo | None:
        return self.held.get(reference)

    def remove(self, reference: str) -> None:
        if reference in self.used:
            raise DaemonError("a container uses it")
        del self.held[reference]


def image(name: str, **changed: Any) -> ImageInfo:
    labels = {"Labels": {"run.cog.nix.lock": "sha256:0"}}
    known = {"Id": name, "Config": labels, "Created": "1970-01-01T00:00:00Z", "RepoTags": None, **changed}
    return ImageInfo.read(known)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(tmp_path))
    return tmp_path / "superseded.json"


@pytest.mark.parametrize(
    "changed",
    [
        {"RepoTags": ["mine:1"]},
        {"RepoDigests": ["pushed@sha256:0"]},
        {"Created": "2026-01-01T00:00:00Z"},
        {"Config": {"Labels": None}},
    ],
    ids=["named", "pushed", "built on top", "somebody else's"],
)
@pytest.mark.usefixtures("memory")
def test_what_stays(changed: dict[str, Any]) -> None:
    daemon = Daemon({"old": image("old", **changed)})
    remove_replaced(daemon, [daemon.find("old"), None], "new")  # type: ignore[arg-type]
    assert daemon.held


def test_what_is_in_use_is_tried_again_at_the_same_daemon(memory: Path) -> None:
    daemon = Daemon({"old": image("old")}, {"old"})
    remove_replaced(daemon, [image("old")], "new")  # type: ignore[arg-type]
    assert json.loads(memory.read_text()) == {"unix:///a": ["old"]}
    daemon.used.clear()
    daemon.host = "unix:///b"
    remove_replaced(daemon, [], "new")  # type: ignore[arg-type]
    assert daemon.held
    daemon.host = "unix:///a"
    remove_replaced(daemon, [], "old")  # type: ignore[arg-type]
    assert daemon.held, "it is what was loaded now"
    assert json.loads(memory.read_text()) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"unix:///a": 1}', '{"unix:///a": ["old"]'])
def test_a_damaged_memory_is_made_anew(memory: Path, text: str) -> None:
    memory.write_text(text)
    daemon = Daemon({"old": image("old")})
    remove_replaced(daemon, [image("old")], "new")  # type: ignore[arg-type]
    assert not daemon.held
