"""The same model gives the same answers in each runtime, and to a plain user without a daemon."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy
import pytest

from conftest import EXAMPLES, ROOT, cog_nix, copy_project

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.network, pytest.mark.nix]

ASKED = [
    pytest.param(["-i", "text=world"], id="text"),
    pytest.param(["--json", '{"text": "world"}'], id="json"),
    pytest.param(["-i", "wrong=1"], id="wrong-input"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built copy of examples/hello-world, loaded nowhere."""
    copy = copy_project(EXAMPLES / "hello-world", tmp_path_factory.mktemp("project") / "hello-world")
    cog_nix("build", "--no-load", cwd=copy)
    return copy


def answer(project: Path, runtime: str, arguments: list[str]) -> tuple[int, str]:
    finished = cog_nix("predict", "--runtime", runtime, *arguments, cwd=project, check=False)
    return finished.returncode, re.sub(r'("predict_time": )[0-9.e-]+', r"\1SECONDS", finished.stdout)


@pytest.mark.docker
@pytest.mark.parametrize("arguments", ASKED)
@pytest.mark.usefixtures("podman_host")
def test_all_runtimes_give_the_same_answers(project: Path, arguments: list[str]) -> None:
    answers = {name: answer(project, name, arguments) for name in ("docker", "podman", "bundle")}
    assert answers["docker"][0] == (1 if "wrong=1" in arguments else 0)
    assert set(answers.values()) == {answers["docker"]}


def test_the_daemonless_runtime_greets(project: Path) -> None:
    assert answer(project, "bundle", ["-i", "text=world"]) == (0, "hello world\n")


@pytest.fixture
def foreign() -> Iterator[Path]:
    """A folder that belongs to a plain user."""
    folder = Path(tempfile.mkdtemp(prefix="cog-nix-plain-"))
    os.chown(folder, 65534, 65534)
    yield folder
    shutil.rmtree(folder)


PLAIN = """
import sys
from pathlib import Path
from cog_nix.report import SilentReporter
from cog_nix.runtime.client import ModelClient
from cog_nix.runtime.health import wait_until_ready
from cog_nix.plugins.spec import ContainerRequest
from cog_nix_hooks.bundle.runtime import BundleRuntime

runtime = BundleRuntime(Path(sys.argv[1]), engine=sys.argv[3] or None, method=sys.argv[4] or None)
if why := runtime.available():
    sys.exit(why)
runtime.load(Path(sys.argv[2]), ["hello"], SilentReporter())
with runtime.start(ContainerRequest("hello")) as container:
    wait_until_ready(container, 60)
    print(ModelClient(container.url).predict({"text": "plain user"}).output)
print(list(Path(sys.argv[1], "containers").iterdir()))
"""


@pytest.mark.root
@pytest.mark.parametrize("engine", ["", "bwrap"])
@pytest.mark.parametrize("way", ["", "copy"])
def test_a_plain_user_needs_no_daemon(
    project: Path, foreign: Path, engine: str, way: str, readable_python: str
) -> None:
    if engine and not shutil.which(engine):
        pytest.skip(f"{engine} is not installed")
    image = (project / "result").resolve()
    become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    # Our own modules may lie where that user cannot read them.
    modules = foreign / "modules"
    for part in (ROOT / "cog_nix", ROOT / "hooks/cog_nix_hooks", Path(pluggy.__file__).parent):
        shutil.copytree(part, modules / part.name)
    subprocess.run(["chmod", "-R", "a+rX", modules], check=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(foreign), "PYTHONPATH": str(modules)}
    python = [readable_python, "-c", PLAIN]
    done = subprocess.run(
        [*become, *python, str(foreign / "bundle"), str(image), engine, way],
        env=env,
        cwd=foreign,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.stdout) == ("", "hello plain user\n[]\n")
