"""Builds where namespaces are forbidden: in a container, with the same result, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest
import python_tree
import yaml

from cog_nix.build.story import Services
from cog_nix.config.model import Project, Settings
from cog_nix.container.worker import ContainerWorker
from cog_nix.namespaces import sandbox
from cog_nix.plugins.manager import load
from cog_nix.report import SilentReporter
from cog_nix.store.library import nix_library
from cog_nix.system.processes import run
from cog_nix_hooks.docker.worker import LABEL
from conftest import cog_nix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cog_nix.store.nix import Nix

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "examples/hello-world"
TAG = "cog-nix-test-hello-world"
FORBID = Path(__file__).with_name("forbid.py")
SOCKET = Path("/var/run/docker.sock")
HIDDEN = "not-to-be-seen-b1f2"
_COMPILE = """
import sys
from pathlib import Path
sys.path.insert(0, {builders!r})
import seed
roots = ("usr/lib/python3.13", "site")
seed._compile_confined("3.13", Path({tree!r}), roots, Path({work!r}), {sandbox!r})
"""
_LOOK = """
import json, os, sys
started = [open(f"/proc/{{pid}}/cmdline", "rb").read() for pid in os.listdir("/proc") if pid.isdigit()]
saw = {{
    "name": os.uname().nodename,
    "cache": os.path.exists({cache!r}),
    "server": any(b"server.py" in command for command in started),
}}
print("saw " + json.dumps(saw), file=sys.stderr)
"""
pytestmark = [pytest.mark.docker, pytest.mark.nix, pytest.mark.network, pytest.mark.root]


@pytest.fixture(scope="session")
def client() -> Iterator[docker.APIClient]:
    found = docker.APIClient(version="auto")
    yield found
    found.close()


@pytest.fixture(scope="session")
def base() -> Iterator[Path]:
    """A folder that every user may enter."""
    found = Path(tempfile.mkdtemp(prefix="container-", dir="/var/tmp"))
    found.chmod(0o755)
    yield found
    shutil.rmtree(found, ignore_errors=True)


@pytest.fixture(scope="session")
def image(built_copy: Callable[[Path], Path]) -> tuple[Path, str]:
    """A project that was built with this machine's Nix, and its image's name in the store."""
    project = built_copy(HELLO)
    return project, (project / "result").readlink().name


def python_of(uid: int) -> str:
    """Return a Python that this user may run with the packages of ours."""
    named = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = (os.path.realpath(sys.executable), shutil.which(named, path="/usr/bin:/usr/local/bin"))
    for python in filter(None, candidates):
        try:
            subprocess.run([python, "-c", ""], user=uid, check=True, cwd="/")
        except (PermissionError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip(f"no {named} that another user than root may run")


def environment(python: str, **more: str) -> dict[str, str]:
    """Return the environment of a user's command."""
    packages = sysconfig.get_paths()["purelib"]
    modules = [str(ROOT / part) for part in ("", "hooks")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COG_NIX_STORE")}
    path = os.pathsep.join([sysconfig.get_paths()["scripts"], "/usr/bin", "/bin", "/usr/sbin", "/sbin"])
    return {
        **kept,
        "PATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([*modules, *([packages] if python != sys.executable else [])]),
        **more,
    }


@pytest.fixture(scope="session")
def plain(image: tuple[Path, str], base: Path) -> Path:
    """What a plain user built who may use Docker and make no namespaces: a folder with store and cache."""
    uid = 54321
    group = SOCKET.stat().st_gid
    python = python_of(uid)
    shutil.copytree(image[0], base / "model", ignore=shutil.ignore_patterns(".cog", "result"))
    subprocess.run(["chown", "-R", f"{uid}:{uid}", str(base)], check=True)
    finished = subprocess.run(
        [python, str(FORBID), python, "-m", "cog_nix", "build", "--no-load", "-t", TAG],
        cwd=base / "model",
        env=environment(
            python,
            HOME=str(base),
            XDG_DATA_HOME=str(base / "data"),
            COG_NIX_CACHE_DIR=str(base / "cache"),
        ),
        user=uid,
        group=uid,
        extra_groups=[group],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "Nix runs in a container (Docker)." in finished.stderr
    return base


def test_a_plain_user_gets_the_same_image(image: tuple[Path, str], plain: Path) -> None:
    assert (plain / "model/result").readlink() == plain / "data/cog-nix/store/nix/store" / image[1]
    assert {path.stat().st_uid for path in (plain / "data/cog-nix/store").rglob("*.drv")} == {54321}
    assert not list((plain / "cache/workers").iterdir())


def forbidden(*arguments: str, cwd: Path, plain: Path, store: Path) -> subprocess.Popen[str]:
    """Start cog-nix as root, where no namespaces can be made."""
    return subprocess.Popen(
        [sys.executable, str(FORBID), sys.executable, "-m", "cog_nix", *arguments],
        cwd=cwd,
        env=environment(
            sys.executable,
            COG_NIX_STORE=str(store),
            COG_NIX_CACHE_DIR=str(plain / "cache"),
        ),
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_sandbox_of_commands_is_in_the_container_and_nobody_sees_secrets(
    plain: Path,
    client: docker.APIClient,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """As :mod:`~cog_nix.run_commands.execute` starts it, with a Python of the store as the builder."""
    nix = contained(plain, monkeypatch)
    (seed,) = nix.store_dir.glob("*-cog-nix-seed-*[0-9]")
    inside = Path("/nix/store", seed.name)
    code = "import os, sys, time; print(os.uname().nodename, sys.stdin.read(), flush=True); time.sleep(0.3)"
    folder = tmp_path_factory.getbasetemp() / "sandbox"
    folder.mkdir(mode=0o711)
    for name in ("root", "build", "out"):
        (folder / name).mkdir(mode=0o700)
    question = {
        "shown": {"/nix/store": str(nix.store_dir)},
        "network": True,
        "folder": str(folder),
        "command": [*python_tree.command(inside, "3.13"), "-I", "-c", code],
        "environment": {},
    }
    said: list[str] = []
    found: list[Path] = []

    def look(line: str) -> None:
        said.append(line)
        found.extend(seen(HIDDEN))

    command = [nix.python(), "-I", sandbox.__file__, json.dumps(question)]
    finished = run(command, stdin=HIDDEN, on_stderr=look)
    assert (finished.returncode, said, found) == (0, [f"localhost {HIDDEN}"], [])
    closed(nix, client)


def test_the_builders_python_compiles_itself_where_it_sees_nothing(
    plain: Path, client: docker.APIClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nix = contained(plain, monkeypatch)
    (made,) = nix.store_dir.glob("*-cog-nix-seed-*[0-9]")
    tree = tmp_path / "tree"
    shutil.copytree(made, tree, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    with (tree / "usr/lib/python3.13/py_compile.py").open("a") as module:
        module.write(_LOOK.format(cache=str(plain / "cache")))
    work = tmp_path / "work"
    work.mkdir()
    script = tmp_path / "compile.py"
    places = {"builders": nix_library() / "builders", "tree": tree, "work": work, "sandbox": sandbox.__file__}
    script.write_text(_COMPILE.format(**{name: str(path) for name, path in places.items()}))
    said: list[str] = []
    run([nix.python(), "-I", "-B", script], on_stderr=said.append)
    closed(nix, client)
    assert (tree / "site/yaml/__pycache__/nodes.cpython-313.pyc").is_file()
    looks = [json.loads(line.removeprefix("saw ")) for line in said if line.startswith("saw ")]
    assert looks
    assert all(saw == {"name": "localhost", "cache": False, "server": False} for saw in looks), looks


def contained(plain: Path, monkeypatch: pytest.MonkeyPatch) -> Nix:
    """Return the Nix that runs in a container, on the plain user's store."""
    monkeypatch.setenv("COG_NIX_NIX", "container")
    monkeypatch.setenv("COG_NIX_STORE", str(plain / "data/cog-nix/store"))
    project = Project(plain / "model", plain / "model/cog.yaml")
    return Services(load(), SilentReporter(), plain / "cache").nix(project, Settings())


def closed(nix: Nix, client: docker.APIClient) -> None:
    assert isinstance(nix.within, ContainerWorker)
    nix.within.close()
    _gone(client, os.getpid())


def seen(text: str) -> Iterator[Path]:
    """Yield the files of processes' arguments and environments that a text stands in."""
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with suppress(OSError):
                if text.encode() in (process / name).read_bytes():
                    yield process / name


def test_nothing_outlives_a_build_that_is_killed(
    plain: Path, client: docker.APIClient, tmp_path: Path
) -> None:
    store = tmp_path / "store"  # with nothing in it, so that there is something to do
    project = tmp_path / "model"
    shutil.copytree(plain / "model", project, ignore=shutil.ignore_patterns(".cog", "result"))
    process = forbidden(*("build", "--no-load", "-t", TAG), cwd=project, plain=plain, store=store)
    try:
        while not list(store.glob("nix/store/*.drv")):
            assert process.poll() is None
            time.sleep(0.05)
        (worker,) = client.containers(filters={"label": f"{LABEL}={process.pid}"})
        inside = client.top(worker["Id"])["Processes"]
    finally:
        process.kill()
        process.communicate()
    assert any("nix-build" in " ".join(map(str, row)) for row in inside)
    _gone(client, process.pid)
    assert not list((plain / "cache/workers").iterdir())
    next_one = [sys.executable, "-m", "cog_nix", "--version"]
    subprocess.run(
        next_one, env=environment(sys.executable, COG_NIX_CACHE_DIR=str(plain / "cache")), check=True
    )
    assert not list((plain / "cache/running").iterdir())


def _gone(client: docker.APIClient, owner: int) -> None:
    """Wait until an owner's container is removed."""
    deadline = time.monotonic() + 30
    while client.containers(all=True, filters={"label": f"{LABEL}={owner}"}):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _build_in(image: str, *options: str) -> str:
    """Build the model in a container of an image of cog-nix; return what it told."""
    command = ["docker", "run", "--rm", *options, image, "build", "--no-load", "-t", TAG]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stderr


def test_a_job_in_a_container_builds_with_dockers_socket(
    image: tuple[Path, str], plain: Path, client: docker.APIClient
) -> None:
    """Its folders are volumes, or lie in its own file system: both are found on Docker's side."""
    whole = f"cog-nix-test-whole-{os.getpid()}:latest"
    cog_nix("container-image", "--runtime", "docker", "-t", whole, cwd=plain)
    model = plain / "job"
    shutil.copytree(plain / "model", model, ignore=shutil.ignore_patterns(".cog", "result"))
    try:
        told = _build_in(
            whole,
            *("--volume", f"{SOCKET}:{SOCKET}"),
            *("--volume", f"{plain / 'data/cog-nix/store'}:/kept/store"),
            *("--volume", f"{plain / 'cache'}:/kept/cache"),
            *("--volume", f"{model}:/builds/model", "--workdir", "/builds/model"),
            *("--env", "COG_NIX_STORE=/kept/store", "--env", "COG_NIX_CACHE_DIR=/kept/cache"),
        )
        assert "Nix runs in a container (Docker)." in told
        assert (model / "result").readlink() == Path("/kept/store/nix/store", image[1])
        _gone(client, 1)
    finally:
        client.remove_image(whole, force=True)


def test_a_pod_without_privileges_builds_the_same_image(
    image: tuple[Path, str], base: Path, client: docker.APIClient
) -> None:
    """As examples/kubernetes/build.yaml has it, but for the user namespace of ``hostUsers: false``."""
    (job,) = yaml.safe_load_all((ROOT / "examples/kubernetes/build.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "Unconfined"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "procMount": "Unmasked",
    }
    uid, gid = (pod["securityContext"][key] for key in ("runAsUser", "runAsGroup"))
    volumes = base / "pod"
    for one in container["volumeMounts"]:
        (volumes / one["name"]).mkdir(parents=True)
    shutil.copytree(
        image[0],
        volumes / "source",
        ignore=shutil.ignore_patterns(".cog", "result"),
        dirs_exist_ok=True,
    )
    subprocess.run(["chown", "-R", f"{uid}:{gid}", str(volumes)], check=True)
    whole = f"cog-nix-test-pod-{os.getpid()}:latest"
    cog_nix("container-image", "--runtime", "docker", "-t", whole, cwd=base)
    mounts = [f"--volume={volumes / one['name']}:{one['mountPath']}" for one in container["volumeMounts"]]
    # A proxy before the network has a certificate that this machine trusts, and so shall the pod.
    certificates = os.environ.get("SSL_CERT_FILE")
    trusted = [f"--volume={certificates}:/etc/ssl/certs/ca-certificates.crt:ro"] if certificates else []
    try:
        _build_in(
            whole,
            *("--network", "host", "--user", f"{uid}:{gid}", "--read-only"),
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"),
            *(*mounts, *trusted, "--workdir", container["workingDir"]),
        )
        assert (volumes / "source/result").readlink() == Path("/cog-nix/store/nix/store", image[1])
    finally:
        client.remove_image(whole, force=True)
        subprocess.run(["chmod", "-R", "u+w", str(volumes)], check=True)
