"""Which image a name stands for."""

from __future__ import annotations

import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.compare import find
from cog_nix.errors import CogNixError, PluginError
from cog_nix.report import SilentReporter

from .samples import configuration, digest_of, docker_archive, layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LAYERS = [layer({"a": "1"}), layer({"b": "2"})]


class Runtime:
    """Holds one image, and gives it back."""

    name = title = "Runtime"
    shares_network = False

    def __init__(self, archive: Path, *, held: str = "model:v1", image_id: str = "sha256:1") -> None:
        self.archive, self.held_name, self.id = archive, held, image_id
        self.saved = 0

    def available(self) -> str | None:
        return None

    def image_id(self, reference: str) -> str | None:
        return self.id if reference == self.held_name else None

    def image_attributes(self, _: str) -> dict[str, Any]:
        layers = [digest_of(one) for one in LAYERS]
        return {"Id": self.id, "Config": {"User": "x"}, "RootFS": {"Layers": layers}}

    def listening_address(self) -> str:
        return ""

    def save(self, _: str, archive: Path) -> None:
        self.saved += 1
        shutil.copy(self.archive, archive)


def nobody() -> Any:
    raise PluginError("there is no runtime here")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return docker_archive(tmp_path / "image.tar", LAYERS, User="x")


@pytest.mark.parametrize("name", [str, lambda path: f"docker-archive:{path}"])
def test_a_file(archive: Path, name: Callable[[Path], str]) -> None:
    with find.opened(name(archive), nobody, SilentReporter()) as found:
        assert found.config == configuration(LAYERS, User="x")
        assert [one.diff_id for one in found.layers] == list(map(digest_of, LAYERS))
        assert found.open
        with found.open(1) as stream:
            assert stream.read() == LAYERS[1]


def test_an_image_of_a_runtime_is_saved_when_all_of_it_is_asked_for(archive: Path) -> None:
    runtime: Any = Runtime(archive)
    with find.opened("model:v1", lambda: runtime, SilentReporter()) as found:
        assert (found.id, found.config, runtime.saved) == ("sha256:1", {"config": {"User": "x"}}, 0)
        assert found.whole
        whole = found.whole()
        assert whole.config == configuration(LAYERS, User="x")
        assert whole.open
        with whole.open(0) as stream:
            assert stream.read() == LAYERS[0]
        found.whole()
        assert runtime.saved == 1


def test_a_name_that_nothing_has_says_where_it_was_looked_for(archive: Path) -> None:
    runtime: Any = Runtime(archive)
    with (
        pytest.raises(find.NoSuchImageError) as caught,
        find.opened("other", lambda: runtime, SilentReporter()),
    ):
        pass
    assert caught.value.message == (
        "There is no image other.\n  other: there is no such file\n  Runtime holds no such image"
    )


def test_without_a_runtime_the_reason_is_told() -> None:
    with (
        pytest.raises(find.NoSuchImageError, match="no runtime here"),
        find.opened("other", nobody, SilentReporter()),
    ):
        pass


def test_a_file_that_is_missing_is_not_looked_for_elsewhere() -> None:
    with (
        pytest.raises(find.NoSuchImageError, match="no such file"),
        find.opened("./missing.tar", nobody, SilentReporter()),
    ):
        pass


class _Empty(BaseHTTPRequestHandler):
    """A registry that has nothing."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/v2/" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def empty_registry() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Empty) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_a_registry_says_is_not_all_that_is_told(archive: Path, empty_registry: str) -> None:
    runtime: Any = Runtime(archive)
    name = f"{empty_registry}/model:v1"
    with pytest.raises(CogNixError) as caught, find.opened(name, lambda: runtime, SilentReporter()):
        pass
    assert "Runtime holds no such image" in caught.value.message
