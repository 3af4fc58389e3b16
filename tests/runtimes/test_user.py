"""Images with a user of their own: without a daemon as root and as who is no root, and by commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy
import pytest

from cog_nix.check import project_path
from conftest import ROOT, cog_nix, copy_project

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.network, pytest.mark.nix, pytest.mark.root]

_PLAIN = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
_ASK = """
import json
import sys
from pathlib import Path
from cog_nix.report import SilentReporter
from cog_nix.runtime.client import ModelClient
from cog_nix.runtime.health import wait_until_ready
from cog_nix.plugins.spec import ContainerRequest
from cog_nix_hooks.bundle.runtime import BundleRuntime

runtime = BundleRuntime(Path(sys.argv[1]), engine=sys.argv[3])
if why := runtime.available():
    sys.exit(why)
runtime.load(Path(sys.argv[2]), ["user"], SilentReporter())
for sealed in (False, True):
    with runtime.start(ContainerRequest("user", sealed=sealed)) as container:
        wait_until_ready(container, 60)
        beside = container.run(["id", "-u"])
        print(json.dumps([ModelClient(container.url).predict({}).output, beside]))
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(project_path("unprivileged"), tmp_path_factory.mktemp("user") / "unprivileged")
    cog_nix("build", "--no-load", cwd=folder)
    return (folder / "result").resolve()


@pytest.fixture
def foreign() -> Iterator[Path]:
    """Return a folder of a plain user's, with our own modules in it."""
    folder = Path(tempfile.mkdtemp(prefix="cog-nix-user-", dir="/tmp"))
    for part in (ROOT / "cog_nix", ROOT / "hooks/cog_nix_hooks", Path(pluggy.__file__).parent):
        shutil.copytree(part, folder / "modules" / part.name)
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    os.chown(folder, 65534, 65534)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    shutil.rmtree(folder)


@pytest.mark.parametrize("engine", ["crun", "runc", "bwrap"])
@pytest.mark.parametrize("become", [(), _PLAIN], ids=["root", "plain"])
def test_a_model_is_who_its_image_says(
    image: Path, foreign: Path, engine: str, become: tuple[str, ...], readable_python: str
) -> None:
    program = shutil.which(engine)
    assert program, "scripts/setup test installs it"
    env = {"PATH": os.environ["PATH"], "HOME": str(foreign), "PYTHONPATH": str(foreign / "modules")}
    done = subprocess.run(
        [*become, readable_python, "-c", _ASK, str(foreign / "bundle"), str(image), engine],
        env=env,
        cwd=foreign,
        capture_output=True,
        text=True,
        check=False,
    )
    if engine == ("runc" if become else "bwrap"):
        assert f"as the user 1000, whom {engine} cannot be here" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    writable, sealed = map(json.loads, done.stdout.splitlines())
    for output, beside in (writable, sealed):
        who = [output[name] for name in ("user", "group", "owner", "home", "name")]
        assert who == [1000, 1000, 1000, "/tmp", "cog"]
        assert beside == [0, "1000\n"]
    assert "/src" in writable[0]["written"]
    assert sealed[0]["written"] == ["/tmp", "/tmp/.cache"]


MODEL = """\
import json
import os

from cog import BaseRunner, Path


def tell(document: Path) -> Path:
    place = Path("/tmp/answer.json")
    said = [os.getuid(), os.environ["HOME"], os.environ["ANSWER"], document.read_text()]
    place.write_text(json.dumps(said))
    return place


class Runner(BaseRunner):
    def run(self, document: Path) -> Path:
        return tell(document)


def train(document: Path) -> Path:
    return tell(document)
"""
TOLD = [1000, "/tmp", "42", "Ada"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands") / "cog-nix-test-user"
    folder.mkdir()
    (folder / "run.py").write_text(MODEL)
    (folder / "cog.yaml").write_text(
        'build:\n  python_version: "3.13"\nenvironment: [ANSWER=42]\n'
        'run: "run.py:Runner"\ntrain: "run.py:train"\n'
    )
    (folder / "cog-nix.toml").write_text('[image]\nuser = "1000:1000"\n')
    (folder.parent / "in.txt").write_text("Ada")
    (folder.parent / "in.txt").chmod(0o600)  # inputs are sent, and read by nobody else
    return folder


@pytest.mark.parametrize("name", [pytest.param("docker", marks=pytest.mark.docker), "podman", "bundle"])
def test_commands_hand_files_to_a_user_and_back(
    name: str, project: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if name == "podman":
        request.getfixturevalue("podman_host")
    monkeypatch.setenv("COG_NIX_RUNTIME", name)
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    for command in (["run"], ["run", "--keep", "60s"], ["run", "--keep", "60s"], ["train"]):
        out = tmp_path / "out.json"
        cog_nix(*command, "-i", "document=@../in.txt", "-o", str(out), cwd=project)
        assert json.loads(out.read_text()) == TOLD
        assert out.stat().st_uid == os.getuid()
        out.unlink()
    cog_nix("stop", cwd=project)
    code = "import os; print(os.getuid(), os.environ['HOME'], os.environ['ANSWER'], open('cog.yaml').read(5))"
    assert cog_nix("exec", "python", "-c", code, cwd=project).stdout == "1000 /tmp 42 build\n"
    done = cog_nix("exec", "touch", "made", cwd=project, check=False)
    assert "Permission denied" in done.stderr
    assert not (project / "made").exists()
