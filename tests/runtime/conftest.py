"""Fakes at the seams: a model server on loopback, and a runtime that "starts" it."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import pytest

from cog_nix.cdi.failures import MissingDeviceDriverError
from cog_nix.errors import ImageError
from cog_nix.runtime.schema import ApiSchema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cog_nix.plugins.spec import ContainerRequest


def document(
    properties: dict[str, Any], output: dict[str, Any], required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return an OpenAPI document in the shape that Cog writes, choices behind references and all."""
    reply = {"properties": {"output": {"$ref": "#/components/schemas/Output"}}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/PredictionResponse"}}}
    return {
        "openapi": "3.0.2",
        "components": {
            "schemas": {
                "Input": {"type": "object", "properties": properties, "required": list(required)},
                "Output": output,
                "PredictionResponse": reply,
                "size": {"enum": ["small", "large"], "type": "string"},
            }
        },
        "paths": {"/predictions": {"post": {"responses": {"200": {"content": content}}}}},
    }


@pytest.fixture
def make_schema() -> Callable[..., ApiSchema]:
    """Build an :class:`ApiSchema` from properties and an output."""

    def make(
        properties: dict[str, Any] | None = None,
        output: dict[str, Any] | None = None,
        required: tuple[str, ...] = (),
    ) -> ApiSchema:
        return ApiSchema(document(properties or {}, output or {"type": "string"}, required))

    return make


@dataclass
class FakeModel:
    """What the server answers; tests change it."""

    openapi: dict[str, Any] = field(
        default_factory=lambda: document({"text": {"type": "string"}}, {"type": "string"}, ("text",))
    )
    health: list[dict[str, Any]] = field(default_factory=lambda: [{"status": "READY"}])
    """One after the other; the last stays."""
    answer: Any = field(default_factory=lambda: {"status": "succeeded", "output": "hello"})
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(model: FakeModel) -> Iterator[FakeModel]:
    """Serve a fake model on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/health-check":
                self.reply(200, model.health.pop(0) if len(model.health) > 1 else model.health[0])
            elif self.path == "/openapi.json":
                self.reply(200, model.openapi)
            else:
                self.reply(404, {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model.asked.append({"path": self.path, **body})
            self.reply(model.status, model.answer)

        def reply(self, status: int, value: Any) -> None:
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    model.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield model
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def model() -> Iterator[FakeModel]:
    """A model that answers ``hello``."""
    with serving(FakeModel()) as running:
        yield running


class FakeContainer:
    """A container whose port leads to the fake model."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.lines = ["a line of the container"]
        self.running = True
        self.removed = False

    def alive(self) -> bool:
        return self.running

    def logs(self) -> str:
        return "\n".join(self.lines)

    def follow_logs(self, sink: Callable[[str], None]) -> None:
        for line in self.lines:
            sink(line)

    def signal(self, name: str) -> None:
        raise NotImplementedError(name)

    def wait(self, timeout: float) -> int:  # noqa: ARG002
        return 3

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.removed = True


class FakeRuntime:
    """Holds images in a dictionary of labels."""

    name = "docker"
    title = "Docker"
    shares_network = False

    def __init__(self, url: str) -> None:
        self.container = FakeContainer(url)
        self.images: dict[str, dict[str, str]] = {}
        self.requests: list[ContainerRequest] = []
        self.why: str | None = None
        self.has_gpu_driver = True

    def available(self) -> str | None:
        return self.why

    def image_id(self, reference: str) -> str | None:
        return f"sha256:{reference}" if reference in self.images else None

    def pull(self, reference: str, *_: object) -> None:
        raise ImageError(f"no image {reference} to pull")

    def image_labels(self, reference: str) -> dict[str, str]:
        if reference not in self.images:
            raise ImageError(f"no image {reference}")
        return self.images[reference]

    def load(self, image: Path, tags: object, reporter: object) -> str:
        raise NotImplementedError(image, tags, reporter)

    def start(self, request: ContainerRequest) -> FakeContainer:
        self.requests.append(request)
        if request.gpus and not self.has_gpu_driver:
            raise MissingDeviceDriverError("no driver")
        return self.container


@pytest.fixture
def fake_runtime(model: FakeModel) -> FakeRuntime:
    """A runtime whose every container is the fake model."""
    return FakeRuntime(model.url)
