"""What cog-nix.toml and cog-nix.nix add to an image: Nix packages, layers, variables; and COG_CA_CERT."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import tarfile
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import stream
import trustme

from conftest import copy_project

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.nix, pytest.mark.network]

PROJECT = Path(__file__).parent / "projects/nix-packages"


@pytest.fixture(scope="module")
def authority() -> str:
    """Return the certificate of an authority that nobody knows."""
    return trustme.CA().cert_pem.bytes().decode()


@pytest.fixture(scope="module")
def mirror(folder: Path) -> Iterator[str]:
    """Serve the project's flake as an archive."""
    served = folder / "served"
    served.mkdir()
    with tarfile.open(served / "flake.tar.gz", "w:gz") as tar:
        tar.add(PROJECT / "flake", "flake")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/flake.tar.gz"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def built(folder: Path, hello: tuple[Any, stream.Image], authority: str) -> Any:
    """Build the project, in the store that hello-world was built in."""
    first, _ = hello
    project = copy_project(PROJECT, folder / "nix-packages")
    shutil.copy(first.project / "cog-nix.lock", project)
    environment = {"COG_CA_CERT": authority, "NIX_CONFIG": "substituters ="}
    build = type(first)(project, first.store, environment)
    build.run("build", "--no-load", "--update-lock")
    return build


def _files(build: Any) -> dict[str, tarfile.TarInfo]:
    image = stream.read(build.path())
    found = {}
    for layer in image["layers"]:
        with (
            stream.open_layer(layer, build.store / "nix/store") as opened,
            tarfile.open(fileobj=opened, mode="r|") as tar,
        ):
            found.update({member.name: member for member in tar.getmembers()})
    return found


def test_packages_come_with_their_programs(built: Any) -> None:
    files = _files(built)
    for program in ("greet", "farewell"):
        link = files[f"usr/local/bin/{program}"]
        assert link.issym()
        assert files[link.linkname.lstrip("/")].mode & 0o111


def test_each_package_and_the_overlays_folder_are_layers_below_the_project(built: Any) -> None:
    names = [layer["name"] for layer in stream.read(built.path())["layers"]]
    assert names[-5:] == ["voices", "certificate", "nix-greetings", "nix-farewell", "source"]


def test_the_overlay_changes_the_configuration(built: Any) -> None:
    config = json.loads(stream.read(built.path())["config"])["config"]
    assert "MODEL=small" in config["Env"]
    assert config["StopSignal"] == "SIGINT"
    assert config["Cmd"] == ["python", "-m", "cog.server.http"]
    assert "opt/voices/a.txt" in _files(built)


def test_cog_nix_s_own_files_stay_out(built: Any) -> None:
    assert {"src/cog-nix.nix", "src/cog-nix.toml", "src/cog-nix.lock"} & set(_files(built)) == set()


def test_the_image_trusts_the_authority(built: Any) -> None:
    files = _files(built)
    config = json.loads(stream.read(built.path())["config"])["config"]
    assert "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" in config["Env"]
    assert "REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt" in config["Env"]
    assert files["usr/local/share/ca-certificates/cog-ca-cert.crt"].isreg()
    assert files["etc/ssl/certs/cog-ca-cert.pem"].issym()
    hashed = [name for name, info in files.items() if info.issym() and info.linkname == "cog-ca-cert.pem"]
    assert len(hashed) == 1, "openssl finds it by the hash of its subject"


@pytest.mark.docker
def test_programs_run_and_the_certificate_counts_in_a_container(built: Any) -> None:
    archive = subprocess.run(
        [str(built.path()), "--tag", "cog-nix-test-packages:latest"], stdout=subprocess.PIPE, check=True
    )
    subprocess.run(["docker", "load", "-q"], input=archive.stdout, check=True, stdout=subprocess.DEVNULL)
    look = (
        "import ssl; print(sum(one['subject'][0][0][1].startswith('trustme') "
        "for one in ssl.create_default_context().get_ca_certs()))"
    )
    command = f'greet && farewell && cat /opt/voices/a.txt && python -c "{look}"'
    run = ["docker", "run", "--rm", "cog-nix-test-packages:latest", "sh", "-c", command]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split("\n")
    assert said[:4] == ["good day", "good night", "la", "1"]


def test_a_flake_elsewhere_is_locked_by_hash(built: Any, mirror: str, folder: Path) -> None:
    project = copy_project(built.project, folder / "flake-elsewhere", locked=True)
    (project / "cog-nix.toml").write_text(f'[nix]\npackages = ["{mirror}"]\n')
    build = type(built)(project, built.store, {"NIX_CONFIG": "substituters ="})
    build.run("build", "--no-load", "--update-lock")
    (package,) = json.loads((project / "cog-nix.lock").read_text())["packages"]
    assert package["reference"] == mirror
    assert "narHash=sha256-" in package["flake"]
    assert "usr/local/bin/farewell" in _files(build)
    assert "usr/local/bin/greet" not in _files(build)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("./missing.nix", "there is no file ./missing.nix"),
        ("../outside.nix", "is outside the project"),
        ("./tool.nix#greeting", 'has no attribute "greeting"'),
        ("./flake#other", 'has no package "other"'),
    ],
)
def test_what_is_not_there_is_told(built: Any, setting: str, sentence: str, folder: Path) -> None:
    project = folder / f"wrong-{hashlib.sha256(setting.encode()).hexdigest()[:8]}"
    copy_project(built.project, project, locked=True)
    (project / "cog-nix.toml").write_text(f'[nix]\npackages = ["{setting}"]\n')
    build = type(built)(project, built.store, {"NIX_CONFIG": "substituters ="})
    ran = build.run("build", "--no-load", "--update-lock", check=False)
    assert ran.returncode == 1
    assert sentence in ran.stderr


@pytest.mark.parametrize(
    ("overlay", "sentence"),
    [
        ("final: prev: { layer = [ ]; }", "sets layer; an image has config, environment, labels, layers"),
        ('final: prev: { config = { Env = [ "A=b" ]; }; }', "sets config.Env; use environment"),
        ("final: prev: { packages = [ 1 ]; }", "has to be a derivation or a store path, not a int"),
    ],
    ids=["unknown", "better-place", "no-package"],
)
def test_an_overlay_that_is_wrong_is_told(built: Any, overlay: str, sentence: str, folder: Path) -> None:
    project = folder / f"overlay-{hashlib.sha256(overlay.encode()).hexdigest()[:8]}"
    copy_project(PROJECT, project)
    shutil.copy(built.project / "cog-nix.lock", project / "cog-nix.lock")
    shutil.copy(built.project / "cog-nix.toml", project / "cog-nix.toml")
    (project / "cog-nix.nix").write_text(overlay)
    build = type(built)(project, built.store, {"NIX_CONFIG": "substituters ="})
    ran = build.run("build", "--no-load", check=False)
    assert ran.returncode == 1
    assert sentence in ran.stderr


def test_files_of_nix_packages_have_no_clock(built: Any) -> None:
    assert {info.mtime for info in _files(built).values()} == {315532800}
    assert os.environ.get("COG_CA_CERT") is None
