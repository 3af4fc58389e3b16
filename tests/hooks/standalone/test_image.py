"""Images with a Python that Debian does not have: built with the real Nix, looked at and run in Docker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import Settings
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.plugins.spec import ContainerRequest, Context, PythonRequest
from cog_nix.report import SilentReporter
from cog_nix.runtime.health import wait_until_ready
from cog_nix.system.paths import cache_dir
from cog_nix_hooks import pypi
from cog_nix_hooks.docker.runtime import DockerRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Mirror
    from .repackage import Archive

pytestmark = [pytest.mark.nix, pytest.mark.network, pytest.mark.docker]

ROOT = Path(__file__).resolve().parents[3]
_TAG = "cog-nix-test-standalone"
_PREDICTOR = """
import platform

from cog import BaseRunner, Input


class Runner(BaseRunner):
    def run(self, text: str = Input(description="Whom to greet")) -> str:
        return f"hello {text} from {platform.python_version()}"
"""
_LOOK = """
import importlib.util, json, mimetypes, os, ssl, sys, sysconfig, zoneinfo
import bz2, ctypes, curses, hashlib, lzma, readline, sqlite3, uuid, zlib
print(json.dumps({
    "version": sys.version.split()[0],
    "prefix": sys.prefix,
    "base": sys.base_prefix,
    "site": sysconfig.get_path("purelib"),
    "include": sysconfig.get_path("include"),
    "cc": sysconfig.get_config_var("CC").split()[0],
    "certificates": len(ssl.create_default_context().get_ca_certs()),
    "webp": mimetypes.guess_type("a.webp")[0],
    "zone": str(zoneinfo.ZoneInfo("Europe/Berlin")),
    "compiled": os.path.exists(importlib.util.cache_from_source(json.__file__)),
    "managed": os.path.exists(f"{os.path.dirname(os.__file__)}/EXTERNALLY-MANAGED"),
    "tests": os.path.exists(f"{os.path.dirname(os.__file__)}/test"),
    "yaml": __import__("yaml").__file__,
    "pkg_resources": bool(importlib.util.find_spec("pkg_resources")),
}))
"""
_NAMES = """
for name in python python3 python%(minor)s; do $name -c 'import sys; print(sys.version.split()[0])'; done
printf '#!/usr/bin/env python3\\nimport sys; print(sys.version.split()[0])\\n' > /tmp/script
chmod +x /tmp/script
/tmp/script
for pip in pip pip3 'python -m pip'; do $pip --version; done
/usr/bin/python3 -c 'import sys; print(sys.version.split()[0])'
"""


def _cog_nix(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    modules = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    return subprocess.run(
        [sys.executable, "-m", "cog_nix", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": modules, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def project(
    archive: Archive, start_mirror: Callable[[], Mirror], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a project whose image is built, with Debian's own Python installed beside the project's."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "cog.yaml").write_text(
        f'build:\n  python_version: "{archive.version}"\n  system_packages: [python3-yaml]\n'
        "run: run.py:Runner\n"
    )
    # Debian 12 may have this very version; on Debian 13 it is nobody's but ours.
    (folder / "cog-nix.toml").write_text('[debian]\nsuite = "trixie"\n')
    (folder / "run.py").write_text(_PREDICTOR)
    mirror = start_mirror()
    mirror.add(archive.version, archive.path.read_bytes())
    built = _cog_nix(folder, "build", "-t", _TAG, **mirror.environment)
    assert built.returncode == 0, built.stderr
    return folder


def _in_image(project: Path, *command: str) -> str:
    assert (project / "result").is_symlink()
    run = ["docker", "run", "--rm", "--network", "none", "--entrypoint", command[0], _TAG, *command[1:]]
    finished = subprocess.run(run, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_the_lock_names_the_archive(project: Path, archive: Archive) -> None:
    interpreter = json.loads((project / "cog-nix.lock").read_text())["interpreter"]
    assert interpreter["kind"] == "standalone"
    assert interpreter["version"] == archive.version
    assert interpreter["artifact"]["size"] == archive.path.stat().st_size


def test_the_model_predicts(project: Path, archive: Archive) -> None:
    predicted = _cog_nix(project, "run", _TAG, "-i", "text=Ada")
    assert predicted.stdout.strip() == f"hello Ada from {archive.version}", predicted.stderr


def test_every_name_is_the_projects_python(project: Path, archive: Archive) -> None:
    minor = archive.version.rpartition(".")[0]
    *versions, first, second, third, debians = _in_image(
        project, "sh", "-c", _NAMES % {"minor": minor}
    ).splitlines()
    assert versions == [archive.version] * 4
    assert first == second == third
    assert first.endswith(f"from /usr/local/lib/python{minor}/site-packages/pip (python {minor})")
    assert debians.startswith("3.13.")


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_without_a_path_the_interpreter_still_finds_itself(
    project: Path, archive: Archive, shell: str
) -> None:
    if archive.prefix == "/usr":
        pytest.skip("Debian's Python, which the archive is made of here, looks for itself in /usr")
    script = 'command -v python; python -c "import sys; print(sys.version.split()[0])"'
    seen = _in_image(project, "/usr/bin/env", "-i", shell, "-c", script).split()
    assert seen == ["/usr/local/bin/python", archive.version]


def test_the_interpreter_is_whole_and_knows_where_it_is(project: Path, archive: Archive) -> None:
    minor = archive.version.rpartition(".")[0]
    seen: dict[str, Any] = json.loads(_in_image(project, "python", "-c", _LOOK))
    assert seen.pop("certificates") > 50
    site = f"/usr/local/lib/python{minor}/site-packages"
    assert seen == {
        "version": archive.version,
        "prefix": "/usr/local",
        "base": "/usr/local",
        "site": site,
        "include": f"/usr/local/include/python{minor}",
        "cc": "gcc",
        "webp": "image/webp",
        "zone": "Europe/Berlin",
        "compiled": True,
        "managed": False,
        "tests": False,
        "yaml": f"{site}/yaml/__init__.py",
        "pkg_resources": minor in {"3.10", "3.11"},
    }


@pytest.mark.parametrize("kind", ["debian", "standalone"])
def test_the_label_is_what_pip_freeze_prints(kind: str, request: pytest.FixtureRequest) -> None:
    image = _image(kind, request)
    label = DockerRuntime().image_labels(image)["run.cog.pip_freeze"]
    frozen = subprocess.check_output(
        ["docker", "run", "--rm", "--network", "none", "--entrypoint", "pip", image, "freeze"], text=True
    )
    assert frozen == label


@pytest.mark.parametrize("kind", ["debian", "standalone"])
def test_cog_can_be_upgraded_in_a_running_container(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Replicate does so with models that were built with an older cog; here it is a downgrade."""
    image = _image(kind, request)
    runtime = DockerRuntime()
    wheels = _wheels("cog==0.22.0", tmp_path / "wheels", python=_version_in(image))
    with runtime.start(ContainerRequest(image, mounts=((wheels, "/wheels"),))) as container:
        wait_until_ready(container, timeout=60)
        name = _container_of(image)
        _docker("exec", name, "pip", "install", "-q", "--no-index", "--find-links=/wheels", "cog==0.22.0")
        assert _docker("exec", name, "python", "-c", "import cog; print(cog.__version__)") == "0.22.0"
        _docker("restart", name)
        port = _docker("port", name, "5000/tcp").splitlines()[0].rpartition(":")[2]
        assert _predict(f"http://127.0.0.1:{port}", {"text": "Ada"}).startswith("hello Ada")


def _image(kind: str, request: pytest.FixtureRequest) -> str:
    if kind == "debian":
        image: str = request.getfixturevalue("hello_image")
        return image
    request.getfixturevalue("project")
    return f"{_TAG}:latest"


def _version_in(image: str) -> str:
    run = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "python", image, "-V"]
    return subprocess.check_output(run, text=True).split()[1]


def _wheels(requirement: str, folder: Path, python: str) -> Path:
    """Put the wheels that a requirement needs into a folder."""
    reporter = SilentReporter()
    fetcher = CachingFetcher(cache_dir(), reporter)
    context = Context(Settings(), fetcher, reporter, cache_dir())
    found = pypi.resolve_python_packages(PythonRequest(python, (requirement,), glibc="2.36"), context)
    files = fetcher.artifacts([wheel.artifact for wheel in found.wheels])
    folder.mkdir()
    for wheel in found.wheels:
        (folder / wheel.artifact.filename).write_bytes(files[wheel.artifact.sha256].read_bytes())
    return folder


def _container_of(image: str) -> str:
    return _docker("ps", "--quiet", "--filter", f"ancestor={image}").splitlines()[0]


def _docker(*arguments: str) -> str:
    finished = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def _predict(url: str, values: dict[str, str]) -> str:
    import httpx  # noqa: PLC0415 - only here

    deadline = time.monotonic() + 60
    while True:
        try:
            answer = httpx.post(f"{url}/predictions", json={"input": values}, timeout=30)
            if answer.status_code == httpx.codes.OK:
                return str(answer.json()["output"])
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "the model does not come back"
        time.sleep(0.2)
