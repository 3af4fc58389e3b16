"""Images with a user of their own, without a daemon: as root, and as somebody who is no root."""

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
