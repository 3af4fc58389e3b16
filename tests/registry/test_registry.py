"""Against Debian's docker-registry, with skopeo to look at what came."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import shutil
import socket
import socketserver
import subprocess
import tarfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import blob
import oci
import pytest
import stream

from cog_nix.errors import RegistryError
from cog_nix.image import archive_program, archives
from cog_nix.image.project_files import FilesGoneError
from cog_nix.registry import layout
from cog_nix.registry.auth import may_be_plain
from cog_nix.registry.credentials import Credentials
from cog_nix.registry.destination import Destination
from cog_nix.registry.failures import MissingBlobsError
from cog_nix.registry.reference import Reference
from cog_nix.report import SilentReporter
from cog_nix.system.zstandard import zstd
from cog_nix_hooks.bundle.runtime import BundleRuntime
from tests.image.outside import described
from tests.registry.pushing import push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cog_nix.image.description import ImageDescription
    from cog_nix.registry.push import Pushed
    from cog_nix.registry.upload import Blob
    from cog_nix.system.packing import Packing

USER, PASSWORD = "ali", "open sesame"
LARGE = random.Random(2).randbytes(5 << 20)  # noqa: S311 - any bytes that do not compress


def _skopeo(*arguments: str) -> Any:
    assert shutil.which("skopeo"), "Debian's package skopeo is missing: scripts/setup test installs it"
    ran = subprocess.run(["skopeo", *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout) if ran.stdout else None


def _push(
    root: Path,
    target: str,
    cache: Path,
    known: Credentials | None = None,
    *,
    compression: Packing = "gzip",
) -> Pushed:
    reference = Reference.parse(target)
    return push(
        layout.read(root, SilentReporter(), compression),
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
    for one in layout.read(root).blobs:
        content = b"".join(one.read(0, one.size))
        assert (copied / one.digest.removeprefix("sha256:")).read_bytes() == content
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


@pytest.fixture
def in_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[bytes], tuple[Path, ImageDescription]]:
    """Return a function that makes an image with a project's files, and an OCI layout of it as Nix does."""
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(tmp_path / "cache"))

    def make(content: bytes) -> tuple[Path, ImageDescription]:
        store, project = tmp_path / "store", tmp_path / "project"
        project.mkdir()
        (project / "a.bin").write_bytes(content)
        (project / "b.bin").write_bytes(content[::-1])
        image = described(project, store, below=({"lib": b"lib"},))
        read = stream.read(image.path)
        (store / "blob").mkdir()
        made = blob.write(read["layers"][0], store / "blob/blob", store)
        (store / "blob/blob.json").write_text(json.dumps(made))
        oci.write(read, [store / "blob", None], store / "layout", "me:v1")
        (store / "layout/image").symlink_to(Path("..", image.path.name))
        return store / "layout", image

    return make


def test_files_of_the_project_are_sent_from_there(
    registry: str, in_project: Callable[[bytes], tuple[Path, ImageDescription]], tmp_path: Path
) -> None:
    root, image = in_project(LARGE)
    pushed = _push(root, f"{registry}/me/files:v1", tmp_path)
    assert pushed.total("uploaded")[0] == 3
    copied = tmp_path / "copied"
    _skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{pushed.image}", f"dir:{copied}")
    manifest = json.loads((copied / "manifest.json").read_text())
    kinds = [one["mediaType"].removeprefix("application/vnd.docker.image.") for one in manifest["layers"]]
    assert kinds == ["rootfs.diff.tar.gzip", "rootfs.diff.tar"]
    assert manifest["layers"][1]["digest"] == image.diff_ids[1], "a plain tar's digest is its diff id"
    with tarfile.open(copied / image.diff_ids[1][7:]) as tar:
        assert tar.extractfile("src/b.bin").read() == LARGE[::-1]  # type: ignore[union-attr]


def test_a_layer_of_files_is_ready_when_it_is_compressed(
    in_project: Callable[[bytes], tuple[Path, ImageDescription]],
) -> None:
    root, _ = in_project(b"some words, " * 400_000)
    ready: list[Blob] = []
    read = layout.read(root, packing="gzip", ready=ready.append)
    assert ready == [blob for blob in read.blobs if not isinstance(blob.content, Path)]
    assert len(ready) == 1


_KINDS = {
    "gzip": ("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip.decompress),
    "zstd": ("application/vnd.oci.image.layer.v1.tar+zstd", zstd.decompress),
}


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_compresses_is_sent_compressed(
    registry: str,
    in_project: Callable[[bytes], tuple[Path, ImageDescription]],
    tmp_path: Path,
    compression: Packing,
) -> None:
    text = random.Random(5).randbytes(12_000_000).hex().encode()  # noqa: S311 - any numbers
    root, image = in_project(text)
    target = f"{registry}/me/text-{compression}:v1"
    first, again = (_push(root, target, tmp_path, compression=compression) for _ in range(2))
    assert first.image == again.image
    copied = tmp_path / "copied"
    _skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{target}", f"dir:{copied}")
    layer = json.loads((copied / "manifest.json").read_text())["layers"][1]
    kind, decompress = _KINDS[compression]
    assert layer["mediaType"] == kind
    data = decompress((copied / layer["digest"][7:]).read_bytes())
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == image.diff_ids[1]
    assert layer["size"] < 0.6 * len(data)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_compressed_layer_is_made_from_any_byte_on(
    in_project: Callable[[bytes], tuple[Path, ImageDescription]], compression: Packing
) -> None:
    root, _ = in_project(b"many words " * 2_000_000)
    blob_ = layout.read(root, SilentReporter(), compression).blobs[1]
    whole = b"".join(blob_.read(0, blob_.size))
    assert f"sha256:{hashlib.sha256(whole).hexdigest()}" == blob_.digest
    assert len(whole) == blob_.size
    for start in (1, blob_.size // 3, blob_.size // 2, blob_.size - 1, blob_.size):
        assert b"".join(blob_.read(start, blob_.size)) == whole[start:]


def test_what_is_compressed_with_zstandard_is_pulled(
    registry: str, in_project: Callable[[bytes], tuple[Path, ImageDescription]], tmp_path: Path
) -> None:
    """By Podman; by the runtime without a daemon as well."""
    root, image = in_project(b"many words " * 2_000_000)
    target = f"{registry}/me/words:v1"
    _push(root, target, tmp_path, compression="zstd")
    bundle = BundleRuntime(tmp_path / "bundle")
    bundle.pull(target, SilentReporter())
    layer = bundle._store.layers.folder(image.diff_ids[1])
    assert (layer / "src/a.bin").read_bytes() == b"many words " * 2_000_000
    copied = f"containers-storage:[vfs@{tmp_path}/storage+{tmp_path}/run]me/words:v1"
    _skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{target}", copied)


@pytest.mark.parametrize("chunk", ["", str(1 << 20)], ids=["whole", "in chunks"])
def test_files_of_the_project_after_a_cut(
    cut_once: tuple[str, list[int]],
    in_project: Callable[[bytes], tuple[Path, ImageDescription]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chunk: str,
) -> None:
    monkeypatch.setenv("COG_PUSH_DEFAULT_CHUNK_SIZE", chunk)
    monkeypatch.setenv("COG_PUSH_MULTIPART_THRESHOLD", chunk)
    host, cuts = cut_once
    pushed = _push(in_project(LARGE)[0], f"{host}/me/files-{chunk or 'whole'}:v1", tmp_path)
    assert cuts
    copied = tmp_path / "copied"
    _skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{pushed.image}", f"dir:{copied}")


def test_a_file_that_changed_is_not_pushed(
    registry: str, in_project: Callable[[bytes], tuple[Path, ImageDescription]], tmp_path: Path
) -> None:
    root, _ = in_project(LARGE)
    (tmp_path / "project/a.bin").write_bytes(bytes(len(LARGE)))
    with pytest.raises(FilesGoneError, match=r"has a\.bin of"):
        _push(root, f"{registry}/me/changed:v1", tmp_path)


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
def test_files_of_the_project_are_in_archives(
    in_project: Callable[[bytes], tuple[Path, ImageDescription]], tmp_path: Path, kind: archives.Kind
) -> None:
    root, image = in_project(LARGE)
    archives.write(archives.Output(kind, tmp_path / "written"), image.path, root, ["me:v1"], SilentReporter())
    found = _skopeo("inspect", "--config", f"{kind}:{tmp_path / 'written'}")
    assert found["rootfs"]["diff_ids"] == list(image.diff_ids)
    _skopeo("copy", "-q", f"{kind}:{tmp_path / 'written'}", f"dir:{tmp_path / 'copied'}")
    with archive_program.opened(tmp_path / "written") as archive:
        assert archive.diff_ids == image.diff_ids


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
