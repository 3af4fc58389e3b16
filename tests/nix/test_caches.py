"""What is built once, on other machines: binary caches, and a machine that builds."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import stream

pytestmark = [pytest.mark.nix, pytest.mark.network]
_NOWHERE = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:1")
_LOCAL = {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}


@dataclass(frozen=True)
class Cache:
    """A binary cache that hello-world was pushed to."""

    folder: Path
    secret: Path
    public: str

    def environment(self, url: str, **changes: str) -> dict[str, str]:
        """Return what makes a build take from it."""
        return {"COG_NIX_SUBSTITUTERS": url, "COG_NIX_TRUSTED_PUBLIC_KEYS": self.public, **changes}


@pytest.fixture(scope="module")
def cache(hello: tuple[Any, stream.Image], folder: Path) -> Cache:
    build, _ = hello
    secret = folder / "keys/test-1"
    public = build.run("cache", "key", "test-1", str(secret)).stdout.strip()
    made = Cache(folder / "cache", secret, public)
    ran = build.run("cache", "push", f"file://{made.folder}", "--secret-key", str(secret))
    assert "Pushed" in ran.stderr
    assert "nothing was signed" not in ran.stderr
    return made


@pytest.fixture
def machine(
    hello: tuple[Any, stream.Image],
    copy: Callable[..., Path],
    make_build: Callable[..., Any],
    folder: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., Any]]:
    """Return a function that makes an empty machine with hello-world's lock."""
    homes: list[Path] = []

    def make(environment: Mapping[str, str], name: str = request.node.name) -> Any:
        home = folder / name
        homes.append(home)
        home.mkdir()
        folders = {"XDG_CACHE_HOME": str(home / "cache"), "XDG_CONFIG_HOME": str(home / "config")}
        project = copy(f"{name}-hello-world", hello[0].project / "cog-nix.lock")
        # The same name, as that is part of the image.
        (home / "projects").mkdir()
        project = project.rename(home / "projects/hello-world")
        return make_build(project, home / "store", {**folders, **environment})

    yield make
    for home in homes:
        subprocess.run(["chmod", "-R", "u+w", str(home)], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def test_the_projects_own_files_stay_here(cache: Cache) -> None:
    names = {line.split("-", 1)[1] for path in cache.folder.glob("*.narinfo") for line in _paths(path)}
    assert "layer-base" in names
    assert [name for name in names if name.startswith("cog-nix-seed")] == ["cog-nix-seed-3.13"]
    assert not [name for name in names if "source" in name or name.endswith((".deb", ".whl"))]
    secret = cache.secret.read_text().strip()
    told = [path for path in cache.folder.rglob("*.narinfo") if secret in path.read_text()]
    assert not told


def _paths(narinfo: Path) -> list[str]:
    lines = narinfo.read_text().splitlines()
    return [line.rpartition("/")[2] for line in lines if line.startswith("StorePath: ")]


def test_an_empty_machine_downloads_and_builds_nothing_else(
    cache: Cache, machine: Callable[..., Any], hello: tuple[Any, stream.Image]
) -> None:
    served = subprocess.Popen(
        [sys.executable, "-B", "-m", "cog_nix", "cache", "serve", str(cache.folder), "--port", "0"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(hello[0].sources())},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert served.stdout is not None
    try:
        url = served.stdout.readline().strip()
        empty = {"COG_NIX_CACHE_DIR": str(cache.folder.with_name("no-downloads")), **_NOWHERE, **_LOCAL}
        build = machine(cache.environment(url, **empty))
        image = build.image()
    finally:
        served.terminate()
        served.wait(10)
        served.stdout.close()
    assert image == hello[1]
    names = [path.name for path in (build.store / "nix/store").iterdir()]
    assert not [name for name in names if name.endswith((".deb", ".whl"))]
    (build.project / "run.py").write_text((build.project / "run.py").read_text() + "# an edit\n")
    assert build.image()["layers"][:-1] == image["layers"][:-1], "an edit needs no cache at all"


def test_what_half_an_upload_lacks_is_made_here(
    cache: Cache, machine: Callable[..., Any], hello: tuple[Any, stream.Image], folder: Path
) -> None:
    half = folder / "half"
    shutil.copytree(cache.folder, half)
    (narinfo,) = (path for path in half.glob("*.narinfo") if "layer-sdk" in _paths(path)[0])
    (line,) = (line for line in narinfo.read_text().splitlines() if line.startswith("URL: "))
    (half / line.removeprefix("URL: ")).unlink()
    build = machine(cache.environment(f"file://{half}"))
    ran = build.run("build", "--no-load")
    assert "does not exist in binary cache" in ran.stderr
    assert build.image() == hello[1]


def test_a_key_that_nobody_trusts_brings_nothing(cache: Cache, machine: Callable[..., Any]) -> None:
    build = machine({})
    other = build.run("cache", "key", "test-1", str(build.store.parent / "other")).stdout.strip()
    (build.project / "cog-nix.toml").write_text(
        f'[nix]\nsubstituters = ["file://{cache.folder}"]\ntrusted_public_keys = ["{other}"]\n'
    )
    ran = build.run("cache", "pull", check=False)
    assert ran.returncode == 1
    assert "There is no cache to pull from" in ran.stderr, "a project is not trusted by itself"
    assert "cog-nix cache trust" in ran.stderr
    ran = build.run("cache", "trust")
    assert f"substituters: file://{cache.folder}" in ran.stderr
    assert "names nothing that you do not trust already" in build.run("cache", "trust").stderr
    ran = build.run("cache", "pull", check=False)
    assert ran.returncode == 1
    assert "nobody who is trusted has signed them" in ran.stderr
    assert "-layer-base" in ran.stderr
    (build.project / "cog-nix.toml").write_text(
        f'[nix]\nsubstituters = ["file://{cache.folder}"]\ntrusted_public_keys = ["{cache.public}"]\n'
    )
    build.run("cache", "trust")
    ran = build.run("cache", "pull")
    assert "5 of 5 store paths are here" in ran.stderr


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the URL of a bucket of moto's, and the environment that it takes."""
    port = _free_port()
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                _put(f"{base}/a-bucket")
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.1)
        keys = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret", **_LOCAL}
        yield f"s3://a-bucket/folder?endpoint=127.0.0.1:{port}&scheme=http", keys
    finally:
        process.terminate()
        process.wait(10)


def _put(url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(urllib.request.Request(url, method="PUT"), timeout=10).close()  # noqa: S310 - loopback


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_bucket_does_for_a_nix_without_s3(
    cache: Cache,
    machine: Callable[..., Any],
    hello: tuple[Any, stream.Image],
    make_build: Callable[..., Any],
    bucket: tuple[str, dict[str, str]],
) -> None:
    url, keys = bucket
    build, _ = hello
    pushing = make_build(build.project, build.store, keys)
    ran = pushing.run("cache", "push", url, "--secret-key", str(cache.secret))
    assert "Pushed" in ran.stderr
    again = pushing.run("cache", "push", url, "--secret-key", str(cache.secret))
    assert "Pushed 0 of" in again.stderr
    ran = machine(cache.environment(url, **keys)).run("cache", "pull")
    assert "5 of 5 store paths are here" in ran.stderr


@pytest.fixture
def builder(folder: Path, cache: Cache, tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield a machine that builds, as Nix names it, and the environment that reaches it, by an own sshd."""
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    for name in ("host", "id"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    port = _free_port()
    (tmp_path / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nPidFile none\nStrictModes no\n"
        f"AuthorizedKeysFile {tmp_path}/id.pub\nUsePAM no\nPasswordAuthentication no\n"
    )
    daemon = tmp_path / "daemon"
    daemon.write_text(
        "#!/bin/sh\n"
        "export NIX_CONFIG='build-users-group =\nsubstituters =\nsandbox = true\nsandbox-paths =\n"
        f"trusted-public-keys = {cache.public}'\n"
        f'exec {shutil.which("nix-daemon")} "$@"\n'
    )
    daemon.chmod(0o755)
    process = subprocess.Popen(
        [program, "-D", "-f", str(tmp_path / "sshd_config"), "-E", str(tmp_path / "log")]
    )
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
    options = f"-p {port} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    host = f"ssh-ng://{getpass.getuser()}@127.0.0.1?remote-store={folder}/far&remote-program={daemon}"
    yield f"{host} x86_64-linux {tmp_path}/id 2", {"NIX_SSHOPTS": options}
    process.terminate()
    process.wait(10)


def test_another_machine_builds_what_computes(
    builder: tuple[str, dict[str, str]],
    machine: Callable[..., Any],
    hello: tuple[Any, stream.Image],
    cache: Cache,
    folder: Path,
) -> None:
    named, environment = builder
    build = machine(environment)
    build.run("build", "--no-load", "--builders", named)
    assert build.image() == hello[1]
    there = {path.name.partition("-")[2] for path in (folder / "far/nix/store").iterdir()}
    assert [name for name in there if name.startswith("base-system-bash")], "packages are installed there"
    assert "layer-base" not in there, "what only reads and writes is done here"
    url, _, key, _ = named.split()
    ran = build.run("cache", "push", f"{url}&ssh-key={key}", "--secret-key", str(cache.secret))
    assert "store paths; the others were there" in ran.stderr
    assert [path for path in (folder / "far/nix/store").iterdir() if path.name.endswith("-layer-base")]
    trusting = {"COG_NIX_TRUSTED_PUBLIC_KEYS": cache.public}
    third = machine({**environment, **trusting}, "third")
    ran = third.run("cache", "pull", f"{url}&ssh-key={key}")
    assert "5 of 5 store paths are here" in ran.stderr


def test_what_cannot_be_reached_is_warned_of(
    machine: Callable[..., Any], hello: tuple[Any, stream.Image], cache: Cache
) -> None:
    ssh = {"NIX_SSHOPTS": f"-p {_free_port()} -o BatchMode=yes"}
    build = machine(cache.environment("http://127.0.0.1:1", **ssh, **_LOCAL))
    ran = build.run("build", "--no-load", "--builders", "ssh-ng://127.0.0.1; ssh-ng://b aarch64-linux")
    assert "warning: unable to download 'http://127.0.0.1:1/nix-cache-info'" in ran.stderr
    assert "warning: cannot build on 'ssh-ng://127.0.0.1'" in ran.stderr
    assert "warning: the builder ssh-ng://b is not for x86_64-linux" in ran.stderr
    assert build.image() == hello[1]
