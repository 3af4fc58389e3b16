"""A tiny Debian archive, signed with a key made for the occasion and served on loopback."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pysequoia
import pytest

from cog_nix.config.model import Settings
from cog_nix.errors import FetchError
from cog_nix.fetch.failures import StatusError
from cog_nix.plugins.spec import Context
from cog_nix.report import SilentReporter
from cog_nix_hooks.debian.packages import Catalogue, open_index
from cog_nix_hooks.debian.settings import DebianSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from cog_nix.lock.model import Artifact

NEVER = timedelta(0)


def complete(stanzas: str) -> str:
    """Add to stanzas what every stanza of an index has and no test is about."""
    whole = []
    for stanza in filter(None, (each.strip() for each in stanzas.split("\n\n"))):
        fields = dict(line.split(": ", 1) for line in (each.strip() for each in stanza.splitlines()))
        name, version = fields["Package"], fields.setdefault("Version", "1.0")
        fields.setdefault("Architecture", "amd64")
        deb = f"{name}_{version.partition(':')[2] or version}_{fields['Architecture']}.deb"
        fields.setdefault("Filename", f"pool/main/{name[0]}/{name}/{deb}")
        fields.setdefault("Size", "1000")
        fields.setdefault("SHA256", hashlib.sha256(deb.encode()).hexdigest())
        whole.append("".join(f"{key}: {value}\n" for key, value in fields.items()))
    return "\n".join(whole)


@pytest.fixture
def catalogue_of(tmp_path: Path) -> Iterator[Callable[..., Catalogue]]:
    """Make a catalogue from the text of one or more indexes."""
    made: list[Catalogue] = []

    def make(*indexes: str) -> Catalogue:
        opened = []
        for text in indexes:
            content = complete(text).encode()
            sha256 = hashlib.sha256(content).hexdigest()
            file = tmp_path / sha256
            file.write_bytes(content)
            opened.append(
                open_index(file, sha256=sha256, uri="http://127.0.0.1/debian", cache_dir=tmp_path / "cache")
            )
        made.append(Catalogue("trixie", tuple(opened)))
        return made[-1]

    yield make
    for catalogue in made:
        catalogue.__exit__()


@dataclass
class TinyArchive:
    """Writes a mirror below a folder."""

    root: Path
    key: pysequoia.Tsk
    url: str

    @property
    def keyring(self) -> Path:
        """The public half of the key."""
        path = self.root.parent / "keyring.pgp"
        path.write_bytes(bytes(self.key.extract_certificate()))
        return path

    def add(
        self,
        suite: str,
        stanzas: str,
        *,
        folder: str = "debian",
        codename: str | None = None,
        valid_for: timedelta = timedelta(days=7),
        date: datetime | None = None,
        by_hash: bool = True,
        key: pysequoia.Tsk | None = None,
        contents: str | None = None,
        non_free: str | None = None,
    ) -> Path:
        """Write a suite; return its InRelease file."""
        dists = self.root / folder / "dists" / suite
        binary = dists / "main/binary-amd64"
        binary.mkdir(parents=True, exist_ok=True)
        packed = lzma.compress(complete(stanzas).encode())
        sha256 = hashlib.sha256(packed).hexdigest()
        (binary / "Packages.xz").write_bytes(packed)
        if by_hash:
            (binary / "by-hash/SHA256").mkdir(parents=True, exist_ok=True)
            (binary / "by-hash/SHA256" / sha256).write_bytes(packed)
        moment = date or datetime.now(UTC) - timedelta(hours=1)
        until = f"Valid-Until: {moment + valid_for:%a, %d %b %Y %H:%M:%S} UTC\n" if valid_for else ""
        text = (
            f"Origin: Debian\nSuite: stable{suite.partition('-')[1]}{suite.partition('-')[2]}\n"
            f"Codename: {codename or suite}\nDate: {moment:%a, %d %b %Y %H:%M:%S} UTC\n{until}"
            f"Acquire-By-Hash: {'yes' if by_hash else 'no'}\nSHA256:\n"
            f" {sha256} {len(packed)} main/binary-amd64/Packages.xz\n"
        )
        if contents is not None:
            listed = gzip.compress(contents.encode())
            (dists / "main/Contents-amd64.gz").write_bytes(listed)
            text += f" {hashlib.sha256(listed).hexdigest()} {len(listed)} main/Contents-amd64.gz\n"
        if non_free is not None:
            listed = lzma.compress(complete(non_free).encode())
            (dists / "non-free/binary-amd64").mkdir(parents=True)
            (dists / "non-free/binary-amd64/Packages.xz").write_bytes(listed)
            sha256 = hashlib.sha256(listed).hexdigest()
            text += f" {sha256} {len(listed)} non-free/binary-amd64/Packages.xz\n"
        signer = (key or self.key).signer()
        signed = pysequoia.sign(signer, text.encode(), mode=pysequoia.SignatureMode.CLEAR)
        (dists / "InRelease").write_bytes(signed)
        return dists / "InRelease"

    def add_all(
        self, stanzas: str, *, updates: str = "", security: str = "", contents: str | None = None
    ) -> None:
        """Write trixie with all that belongs to it."""
        self.add("trixie", stanzas, contents=contents, by_hash=contents is None)
        self.add("trixie-updates", updates)
        self.add("trixie-security", security, folder="debian-security")


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def key() -> pysequoia.Tsk:
    return pysequoia.Tsk.generate("Tiny Archive <archive@example.org>")


@pytest.fixture
def archive(tmp_path: Path, key: pysequoia.Tsk, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyArchive]:
    """An empty mirror on loopback, with nothing of this machine's configuration in the way."""
    root = tmp_path / "mirror"
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=root))
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    made = TinyArchive(root, key, f"http://127.0.0.1:{server.server_port}/debian")
    monkeypatch.setenv("COG_NIX_DEBIAN_KEYRING", str(made.keyring))
    monkeypatch.delenv("COG_NIX_DEBIAN_MIRROR", raising=False)
    monkeypatch.delenv("COG_NIX_DEBIAN_SECURITY_MIRROR", raising=False)
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


class PlainFetcher:
    """The protocol with urllib: nothing kept, hashes checked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def text(self, url: str, *, max_age: float = 0) -> bytes:
        assert max_age >= 0
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - file: is meant to work
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            error.close()
            raise StatusError(url, error.code, str(error.reason)) from error
        except OSError as error:
            raise FetchError(f"cannot fetch {url}: {error}") from error

    def forget(self, url: str) -> None:
        pass  # nothing is kept

    def in_parts(self, wanted: Sequence[Artifact], read: object) -> dict[str, Any]:
        assert wanted
        assert read
        return {}

    def artifacts(self, wanted: Sequence[Artifact]) -> dict[str, Path]:
        found = {}
        for artifact in wanted:
            data = self.text(artifact.url)
            if hashlib.sha256(data).hexdigest() != artifact.sha256:
                raise FetchError(f"{artifact.url} has another hash than {artifact.sha256}")
            found[artifact.sha256] = self.folder / artifact.sha256
            found[artifact.sha256].write_bytes(data)
        return found


@dataclass
class Heard(SilentReporter):
    """A reporter that remembers."""

    infos: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def info(self, text: str) -> None:
        self.infos.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def context_for(tmp_path: Path) -> Callable[..., Context]:
    """Make the context of a hook, with a mirror set in cog-nix.toml."""

    def make(mirror: str | None, **debian: Any) -> Context:
        downloads = tmp_path / "downloads"
        downloads.mkdir(exist_ok=True)
        settings = Settings(tables={"debian": DebianSettings(mirror=mirror, **debian)})
        return Context(settings, PlainFetcher(downloads), Heard(), tmp_path / "cache")  # type: ignore[arg-type]

    return make
