"""A lock whose every URL is dead is built all the same: from the cache, a snapshot, an archive, a registry.

Each build is the real one, in a store that nothing else has written to, with no server but one on loopback.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.archive.model import pieces
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.fetch.store import Store
from cog_nix.lock import format as lock_format
from cog_nix.lock import integrity
from cog_nix.report import SilentReporter
from cog_nix.system.paths import cache_dir
from tests.registry.conftest import registry, start_registry  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cog_nix.lock.model import Artifact, Lock

pytestmark = pytest.mark.nix

_DEAD = "http://127.0.0.1:9"
"""Port 9 (RFC 863) has no server, as a rule; none is asked twice."""
_OFF = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), _DEAD),
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
    "UV_DEFAULT_INDEX": f"{_DEAD}/simple/",
    "COG_NIX_DEBIAN_MIRROR": f"{_DEAD}/debian",
    "COG_NIX_DEBIAN_SNAPSHOT": f"{_DEAD}/archive",
}
"""Variables of a machine that reaches nothing but itself."""


@dataclass(frozen=True)
class Dead:
    """A project whose lock names servers that are gone, and that was built before."""

    project: Path
    image: str
    """Name of its store path."""
    lock: Lock

    def files(self) -> dict[str, Artifact]:
        """Return all files that the lock names, by name."""
        seed = lock_format.artifacts_of(self.lock.seed.debs, self.lock.seed.wheels)
        return {one.filename: one for one in (*lock_format.built_from(self.lock), *seed)}


@pytest.fixture(scope="module")
def dead(folder: Path, copy: Callable[..., Path], make_build: Callable[..., Any]) -> Dead:
    """Lock with the network, then let every URL go dead; build from the cache, into an empty store."""
    project = copy("dead-origins")
    config = project / "cog.yaml"
    config.write_text(config.read_text().replace("build:\n", "build:\n  run:\n    - echo kept > /opt/kept\n"))
    make_build(project, folder / "dead-store").run("lock")
    path = project / "cog-nix.lock"
    locked = lock_format.read(path, None)
    assert locked is not None
    seed = lock_format.artifacts_of(locked.seed.debs, locked.seed.wheels)
    CachingFetcher(cache_dir(), SilentReporter()).artifacts([*lock_format.built_from(locked), *seed])
    text = re.sub(r'"https?://[^/"]+', f'"{_DEAD}', path.read_text())
    data = json.loads(text)
    data[integrity.KEY] = integrity.digests(data)
    path.write_text(json.dumps(data))
    build = make_build(project, folder / "dead-store", _OFF)
    build.run("build", "--no-load", "-t", "kept")
    lock = lock_format.read(path, None)
    assert lock is not None
    return Dead(project, build.path().name, lock)


@pytest.fixture
def elsewhere(
    dead: Dead, folder: Path, make_build: Callable[..., Any], tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """Return a function that makes a build of the project on another machine: no store, no cache."""
    copied = folder / f"elsewhere-{tmp_path.name}"
    shutil.copytree(dead.project, copied, ignore=shutil.ignore_patterns(".cog", "result"))

    def make(**variables: str) -> Any:
        environment = {**_OFF, "COG_NIX_CACHE_DIR": str(copied / "cache"), **variables}
        shutil.rmtree(copied / "cache", ignore_errors=True)
        return make_build(copied / "project", copied / "store", environment)

    (copied / "project").mkdir()
    for path in list(copied.iterdir()):
        if path.name != "project":
            path.rename(copied / "project" / path.name)
    yield make
    shutil.rmtree(copied / "cache", ignore_errors=True)


def test_the_cache_alone_is_enough(dead: Dead) -> None:
    assert all(one.url.startswith(_DEAD) for one in dead.files().values())
    assert [run.command for run in dead.lock.runs] == ["echo kept > /opt/kept"]


def test_an_archive_alone_is_enough(
    dead: Dead, elsewhere: Callable[..., Any], folder: Path, make_build: Callable[..., Any], tmp_path: Path
) -> None:
    """No network, no Nix: the archive brings all of it, what the command left as well."""
    archive = tmp_path / "inputs.tar"
    made = make_build(dead.project, folder / "dead-store").run("archive", str(archive), "--json")
    told = json.loads(made.stdout)
    assert {one["sha256"] for one in told["files"]} > {one.sha256 for one in dead.files().values()}
    assert (told["programs"], told["lacking"]) == (["nix"], [])
    build = elsewhere(PATH=str(_without_nix(tmp_path)))
    options = ("--no-load", "--offline", "-t", "kept", "--from", str(archive))
    refused = build.run("build", *options, check=False)
    assert refused.returncode == 1
    assert "--trust-archive" in refused.stderr  # a checkout knows no Nix by its hashes
    build.run("build", *options, "--trust-archive")
    assert build.path().name == dead.image


def test_a_registry_alone_is_enough(
    dead: Dead,
    elsewhere: Callable[..., Any],
    folder: Path,
    make_build: Callable[..., Any],
    registry: str,  # noqa: F811 - the fixture
) -> None:
    """Whoever has the image's name has what it was built from."""
    image = f"{registry}/team/kept:v1"
    here = make_build(dead.project, folder / "dead-store")
    here.run("push", image)
    here.run("archive", f"oci:{image}")
    again = here.run("archive", f"oci:{image}")
    assert "all of them were there" in again.stderr
    build = elsewhere()
    build.run("build", "--no-load", "-t", "kept", "--from", image)
    assert build.path().name == dead.image


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param(
            {"COG_NIX_DEBIAN_SNAPSHOT": "/archive", "UV_DEFAULT_INDEX": "/simple/"}, id="snapshot-and-index"
        ),
        pytest.param(
            {"COG_NIX_DEBIAN_MIRROR": "/mirror", "UV_DEFAULT_INDEX": "/simple/"}, id="mirror-and-index"
        ),
        pytest.param({"COG_NIX_ARCHIVES": "/models"}, id="archive-of-a-web-server"),
    ],
)
def test_other_servers_alone_are_enough(
    dead: Dead, elsewhere: Callable[..., Any], variables: dict[str, str]
) -> None:
    """What the command left is on none of them: it runs again, and gives the same."""
    with _serving(dead) as site:
        build = elsewhere(**{name: f"{site.url}{path}" for name, path in variables.items()})
        build.run("build", "--no-load", "-t", "kept")
    assert build.path().name == dead.image
    if "COG_NIX_DEBIAN_SNAPSHOT" in variables:
        assert site.most == 1  # a service that many share is asked for one file at a time
        assert site.limited  # and was waited for


def test_what_was_tried_is_told(dead: Dead, elsewhere: Callable[..., Any]) -> None:
    lost = dead.lock.base[0].artifact.filename
    with _serving(dead) as site:
        site.lost.add(lost)
        build = elsewhere(
            COG_NIX_DEBIAN_MIRROR=f"{site.url}/mirror",
            COG_NIX_DEBIAN_SNAPSHOT=f"{site.url}/archive",
            COG_NIX_ARCHIVES=f"{site.url}/nothing",
        )
        downloads = Store(Path(build.environment["COG_NIX_CACHE_DIR"]) / "downloads/sha256")
        for artifact in dead.files().values():
            if artifact.filename != lost:
                downloads.put(artifact.sha256, pieces(_downloaded(artifact)))
        said = build.run("build", "--no-load", "-t", "kept", check=False)
    assert said.returncode != 0
    (own, *others) = [line.strip() for line in said.stderr.splitlines() if lost in line and "http" in line]
    assert own.startswith(f"{_DEAD}/debian/pool/")
    assert others[0].startswith(f"mirror (COG_NIX_DEBIAN_MIRROR): {site.url}/mirror/pool/")
    assert any(line.startswith("the archive as of ") for line in others)
    assert f"archive: {site.url}/nothing/sha256/" in said.stderr
    assert "answered 404" in said.stderr
    assert said.stderr.rstrip().endswith("cog-nix lock --upgrade")


def _without_nix(folder: Path) -> Path:
    """Return a folder with the programs of this machine but for Nix's."""
    made = folder / "bin"
    made.mkdir()
    for place in ("/usr/sbin", "/sbin", "/usr/bin", "/bin"):
        for path in Path(place).iterdir() if Path(place).is_dir() else ():
            if not path.name.startswith("nix") and not (made / path.name).is_symlink():
                (made / path.name).symlink_to(path)
    return made


@dataclass
class Site:
    """What a service that keeps Debian's archive has, and an index of Python packages; from the cache."""

    files: dict[str, Artifact]
    since: str
    """From when on the archive has the files."""
    url: str = ""
    lost: set[str] = field(default_factory=set)
    limited: list[str] = field(default_factory=list)
    most: int = 0
    """So many requests for files of the archive were answered at a time."""
    now: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if found := re.fullmatch(r"/archive/debian(?:-security)?/(\d{8}T\d{6}Z)/pool/.*/([^/]+)", self.path):
            with self.site.guard:
                self.site.now += 1
                self.site.most = max(self.site.most, self.site.now)
            try:
                self.snapshot(found[1], found[2])
            finally:
                self.site.now -= 1
        elif found := re.fullmatch(r"/simple/([^/]+)/", self.path):
            self.page(found[1])
        elif found := re.fullmatch(r"/moved/([^/]+)|/mirror(?:-security)?/pool/.*/([^/]+)", self.path):
            self.send_file(found[1] or found[2])
        elif found := re.fullmatch(r"/models/sha256/../([0-9a-f]{64})", self.path):
            self.send_file(next((n for n, one in self.site.files.items() if one.sha256 == found[1]), ""))
        else:
            self.answer(404)

    def snapshot(self, date: str, name: str) -> None:
        """Answer as Debian's own does: a redirect to the copy of that time or the last before it."""
        if not self.site.limited:
            self.site.limited.append(name)
            self.answer(429, headers={"Retry-After": "1"})
        elif date < self.site.since or name in self.site.lost:
            self.answer(404)
        else:
            self.answer(302, headers={"Location": f"/moved/{name}"})

    def page(self, project: str) -> None:
        links = [
            f'<a href="../../moved/{one.filename}#sha256={one.sha256}">{one.filename}</a>'
            for one in self.site.files.values()
            if re.sub(r"[-_.]+", "-", one.filename.partition("-")[0]).lower() == project
        ]
        self.answer(200, "\n".join(links).encode())

    def send_file(self, name: str) -> None:
        if name in self.site.files and name not in self.site.lost:
            self.answer(200, _downloaded(self.site.files[name]).read_bytes())
        else:
            self.answer(404)

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


def _downloaded(artifact: Artifact) -> Path:
    """Return where the cache of the machine that locked has a file."""
    return Store(cache_dir() / "downloads/sha256").path(artifact.sha256)


@contextmanager
def _serving(dead: Dead) -> Iterator[Site]:
    oldest = min(index.date for index in dead.lock.all_indexes)
    site = Site(dead.files(), re.sub(r"[-:]", "", oldest))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
