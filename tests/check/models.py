"""A runtime whose images are small HTTP servers of this process: models without containers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from cog_nix.image.failures import ImageNotHeldError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix.plugins.spec import ContainerRequest

Answer = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]
"""What a model makes of an input: status and body."""


def says(output: Any) -> tuple[int, dict[str, Any]]:
    return 200, {"status": "succeeded", "output": output}


def fails(error: str) -> tuple[int, dict[str, Any]]:
    return 200, {"status": "failed", "error": error}


def refuses(name: str, message: str) -> tuple[int, dict[str, Any]]:
    return 422, {"detail": [{"loc": ["body", "input", name], "msg": message}]}


def document(
    inputs: Mapping[str, Any],
    required: tuple[str, ...] = (),
    output: Mapping[str, Any] | None = None,
    *,
    streaming: bool = False,
    training: bool = False,
    **schemas: Any,
) -> dict[str, Any]:
    """Return an OpenAPI document as Cog writes it."""
    answer = {"properties": {"output": {"$ref": "#/components/schemas/Output"}}}
    post: dict[str, Any] = {
        "responses": {"200": {"content": {"application/json": {"schema": answer}}}},
        **({"x-cog-streaming": True} if streaming else {}),
    }
    parts = {
        "Input": {"type": "object", "properties": dict(inputs), "required": list(required)},
        "Output": dict({"type": "string"} if output is None else output),
        **schemas,
    }
    paths = {"/predictions": {"post": post}}
    if training:
        paths["/trainings"] = {"post": post}
        parts["TrainingInput"] = parts["Input"]
    return {"components": {"schemas": parts}, "paths": paths, "info": {"version": "0.1.0"}}


@dataclass
class Model:
    """An image."""

    document: dict[str, Any]
    answer: Answer
    env: dict[str, str] = field(default_factory=dict)
    sdk: str = "0.23.1"
    starts: bool = True
    busy: int = 0
    """How often it is at its limit first."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    gpus: str | None = None
    given: list[dict[str, str]] = field(default_factory=list)
    """Environments of its containers."""


class Running:
    """A model's server."""

    def __init__(self, model: Model) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(200, {"status": "READY" if model.starts else "SETUP_FAILED"})

            def do_POST(self) -> None:
                given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
                if model.busy:
                    model.busy -= 1
                    self._send(409, {"error": "at capacity"})
                    return
                model.asked.append(given)
                self._send(*model.answer(given))

            def _send(self, status: int, body: dict[str, Any]) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def alive(self) -> bool:
        return True

    def logs(self) -> str:
        return "it wrote this"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Models:
    """The runtime."""

    held: dict[str, Model]
    name: str = "models"
    title: str = "this process"
    shares_network: bool = True

    def available(self) -> str | None:
        return None

    def image_id(self, reference: str) -> str | None:
        return f"sha256:{reference}" if reference in self.held else None

    def image_labels(self, reference: str) -> dict[str, str]:
        found: dict[str, str] = self.image_attributes(reference)["Config"]["Labels"]
        return found

    def image_attributes(self, reference: str) -> dict[str, Any]:
        if reference not in self.held:
            raise ImageNotHeldError("this process", reference, hint="Build it.")
        model = self.held[reference]
        labels = {
            "run.cog.openapi_schema": json.dumps(model.document),
            "run.cog.config": json.dumps({"build": {"gpu": model.gpus is not None}}),
            "run.cog.version": model.sdk,
        }
        return {"Config": {"Labels": labels, "Env": [f"{key}={value}" for key, value in model.env.items()]}}

    def listening_address(self) -> str:
        return "127.0.0.1"

    def start(self, request: ContainerRequest) -> Running:
        model = self.held[request.image]
        model.given.append(dict(request.env))
        if model.gpus is not None:
            model.gpus = request.gpus
        return Running(model)

    def pull(self, reference: str, *_: object) -> None:
        raise ImageNotHeldError("this process", reference, hint="Build it.")

    def load(self, *_: object) -> str:
        raise NotImplementedError
