"""Against Debian's docker-registry, with skopeo to look at what came."""

from __future__ import annotations

import json
import random
import shutil
import socket
import socketserver
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import RegistryError
from cog_nix.registry import layout
from cog_nix.registry.auth import may_be_plain
from cog_nix.registry.credentials import Credentials
from cog_nix.registry.destination import Destination
from cog_nix.registry.failures import MissingBlobsError
from cog_nix.registry.push import push
from cog_nix.registry.reference import Reference
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cog_nix.registry.push import Pushed

USER, PASSWORD = "ali", "open sesame"
LARGE = random.Random(2).randbytes(5 << 20)  # noqa: S311 - any bytes that do not compress


def _skopeo(*arguments: str) -> Any:
    assert shutil.which("skopeo"), "Debian's package skopeo is missing: scripts/setup test installs it"
    ran = subprocess.run(["skopeo", *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout) if ran.stdout else None


def _push(root: Path, target: str, cache: Path, known: Credentials | None = None) -> Pushed:
    reference = Reference.parse(target)
    return push(
        layout.read(root),
        Destination(target, reference),
        known or Credentials(),
        cache=cache,
        reporter=SilentReporter(),
    )


def test_what_was_pushed_is_what_skopeo_finds(
    registry: str, make_layout: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_layout(LARGE, b"small", b"small")
    target = f"{registry}/me/model:v1"
    pushed = _push(root, target, tmp_path)
    assert pushed.total("uploaded")[0] == 3, (
        "two layers, one of them twice in the image, and the configuration"
    )
    found = _skopeo("inspect", "--tls-verify=false", f"docker://{target}")
    assert pushed.image == f"{registry}/me/model@{found['Digest']}"
    copied = tmp_path / "copied"
    _skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{pushed.image}", f"dir:{copied}")
    for blob in layout.read(root).blobs:
        assert blob.path is not None
        with blob.path.open("rb") as stream:
            content = stream.read(blob.size)
        assert (copied / blob.digest.removeprefix("sha256:")).read_bytes() == content
    raw = _skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{target}")
    assert raw["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert {one["mediaType"] for one in raw["layers"]} == {
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    }


def test_chunks(
    registry: str, make_layout: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COG_PUSH_DEFAULT_CHUNK_SIZE", str(1 << 20))
    monkeypatch.setenv("COG_PUSH_MULTIPART_THRESHOLD", str(1 << 20))
    pushed = _push(make_layout(LARGE + b"chunks"), f"{registry}/me/chunks:v1", tmp_path)
    assert _skopeo("inspect", "--tls-verify=false", f"docker://{pushed.image}")["Layers"]


def test_one_changed_layer(registry: str, make_layout: Callable[..., Path], tmp_path: Path) -> None:
    _push(make_layout(LARGE, b"one"), f"{registry}/me/edit:v1", tmp_path)
    pushed = _push(make_layout(LARGE, b"two"), f"{registry}/me/edit:v2", tmp_path)
    count, size = pushed.total("uploaded")
    assert count == 2, "the layer and the configuration"
    assert size < 1000
    assert pushed.total("there")[0] == 1


def test_from_one_repository_to_another(
    registry: str, make_layout: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_layout(LARGE + b"mount")
    _push(root, f"{registry}/me/first:v1", tmp_path)
    pushed = _push(root, f"{registry}/you/second:v1", tmp_path)
    assert pushed.total("mounted")[0] == 2
    assert _skopeo("inspect", "--tls-verify=false", f"docker://{registry}/you/second:v1")


def test_a_layer_that_is_not_here_has_to_be_there(
    registry: str, make_layout: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_layout(LARGE + b"thin")
    large = max((root / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = large.read_bytes()
    large.unlink()
    with pytest.raises(MissingBlobsError, match="lacks 1 layer"):
        _push(root, f"{registry}/me/thin:v1", tmp_path)
    with pytest.raises(AssertionError, match="manifest unknown"):
        _skopeo("inspect", "--tls-verify=false", f"docker://{registry}/me/thin:v1")
    large.write_bytes(data)
    _push(root, f"{registry}/me/thin:v1", tmp_path)
    large.unlink()
    assert _push(root, f"{registry}/me/thin:v2", tmp_path).total("there")[0] == 2


@pytest.fixture
def cut_once(registry: str) -> Iterator[tuple[str, list[int]]]:
    """Yield the address of a way to the registry that breaks off once, after 2 MB, and a list of when."""
    host, _, port = registry.partition(":")
    cuts: list[int] = []

    def forward(source: socket.socket, sink: socket.socket, *, may_break: bool) -> None:
        total = 0
        with suppress(OSError):
            while data := source.recv(1 << 16):
                total += len(data)
                if may_break and not cuts and total > 2 << 20:
                    cuts.append(total)
                    break
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, int(port))) as there:
                back = threading.Thread(
                    target=forward, args=(there, self.request), kwargs={"may_break": False}
                )
                back.start()
                forward(self.request, there, may_break=True)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}", cuts
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("chunk", ["", str(1 << 20)], ids=["whole", "in chunks"])
def test_a_cut_on_the_way(
    cut_once: tuple[str, list[int]],
    make_layout: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chunk: str,
) -> None:
    monkeypatch.setenv("COG_PUSH_DEFAULT_CHUNK_SIZE", chunk)
    monkeypatch.setenv("COG_PUSH_MULTIPART_THRESHOLD", chunk)
    host, cuts = cut_once
    root = make_layout(LARGE + f"cut {chunk}".encode())
    pushed = _push(root, f"{host}/me/cut:v1", tmp_path)
    assert cuts
    assert pushed.total("uploaded")[0] == 2
    copied = tmp_path / "copied"
    _skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{pushed.image}", f"dir:{copied}")


def test_with_a_password(locked_registry: str, make_layout: Callable[..., Path], tmp_path: Path) -> None:
    target = f"{locked_registry}/me/model:v1"
    root = make_layout(b"locked")
    pushed = _push(root, target, tmp_path, Credentials(USER, PASSWORD))
    found = _skopeo("inspect", "--tls-verify=false", f"--creds={USER}:{PASSWORD}", f"docker://{target}")
    assert pushed.image.endswith(found["Digest"])


@pytest.mark.parametrize("known", [Credentials(), Credentials(USER, "wrong")], ids=["none", "wrong"])
def test_without_the_password(
    locked_registry: str, make_layout: Callable[..., Path], tmp_path: Path, known: Credentials
) -> None:
    with pytest.raises(RegistryError) as caught:
        _push(make_layout(b"locked"), f"{locked_registry}/me/model:v1", tmp_path, known)
    assert caught.value.status == 401
    assert f"cog-nix login {locked_registry}" in caught.value.hint


@pytest.mark.parametrize(
    ("registry", "plain"),
    [
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("127.8.9.1:80", True),
        ("[::1]:5000", True),
        ("registry.example.org", False),
        ("10.0.0.1:5000", False),
        ("localhost.example.org", False),
        ("named.example.org:5000", True),
    ],
)
def test_who_may_go_without_tls(registry: str, plain: bool) -> None:  # noqa: FBT001 - a parameter of a test
    environment = {"COG_NIX_INSECURE_REGISTRIES": "other.example.org, named.example.org:5000"}
    assert may_be_plain(registry, environment) is plain
