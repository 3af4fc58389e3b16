"""`run --keep` and `stop`, with real images in each runtime."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.keep import client, place
from conftest import ROOT, cog_nix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.network, pytest.mark.nix]

RUN = """\
import os
import time

from cog import BaseRunner, Input


class Runner(BaseRunner):
    def setup(self) -> None:
        print("setting up")
        time.sleep(float(os.environ.get("SLEEP", "0")))
        self.began = time.time()

    def run(self, text: str = "", seconds: float = 0, variable: str = "") -> str:
        print("asked", text)
        time.sleep(seconds)
        return f"{text} {self.began} {os.environ.get(variable)}"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that tells when it was set up; built, loaded nowhere."""
    root = tmp_path_factory.mktemp("project") / "cog-nix-test-kept"
    root.mkdir()
    (root / "cog.yaml").write_text('build:\n  python_version: "3.13"\nrun: "run.py:Runner"\n')
    (root / "run.py").write_text(RUN)
    cog_nix("build", "--no-load", cwd=root)
    return root


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for sockets that nothing else uses; what is kept in it ends with the test."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder / "cog-nix/kept"
    assert all(client.stop(name, 30) for name in place.names())


def run(project: Path, *arguments: str, runtime: str = "bundle") -> list[str]:
    """Run the model, kept; return the words of its answer."""
    return cog_nix("run", "--runtime", runtime, *arguments, cwd=project).stdout.split()


def popen(project: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cog_nix", "run", "--runtime", "bundle", "--keep", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until(true: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("podman", marks=pytest.mark.docker),
        "bundle",
    ],
)
def test_it_is_set_up_once_and_gone_when_told_to(
    project: Path, runtime: str, request: pytest.FixtureRequest
) -> None:
    if runtime == "podman":
        request.getfixturevalue("podman_host")
    first = cog_nix("run", "--runtime", runtime, "--keep", "-i", "text=one", cwd=project)
    assert "setting up" in first.stderr
    second = cog_nix("run", "--runtime", runtime, "--keep", "-i", "text=two", cwd=project)
    assert "setting up" not in second.stderr
    assert "asked two" in second.stderr
    assert first.stdout.split()[1] == second.stdout.split()[1]
    assert [name for name, *_ in (first.stdout.split(), second.stdout.split())] == ["one", "two"]
    assert "Ended cog-nix-test-kept:latest" in cog_nix("stop", cwd=project).stderr
    assert place.names() == []
    assert "No model is kept warm" in cog_nix("stop", "--all", cwd=project).stderr


def test_every_way_of_asking_leads_to_it(project: Path) -> None:
    (project.parent / "text").write_text("from a file")
    plain = run(project, "--keep", "-i", "text=plain")
    as_json = cog_nix(
        "run", "--runtime", "bundle", "--keep", "--json", '{"text": "json"}', cwd=project
    ).stdout
    written = run(project, "--keep", "-i", "text=written", "-o", "../written")
    assert written == []
    assert json.loads(as_json)["output"].split()[1] == plain[1]
    assert (project.parent / "written").read_text().split()[1] == plain[1]
    wrong = cog_nix("run", "--runtime", "bundle", "--keep", "-i", "typo=1", cwd=project, check=False)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert 'error: unknown input "typo"' in wrong.stderr
    assert len(place.names()) == 1


@pytest.mark.parametrize("runtime", [pytest.param("docker", marks=pytest.mark.docker), "bundle"])
def test_an_image_is_kept_until_its_name_means_another(project: Path, runtime: str) -> None:
    flags = ("--runtime", runtime)
    image = "cog-nix-test-kept-image"
    cog_nix("build", *flags, "-t", image, cwd=project)
    first = cog_nix("run", image, "--keep", *flags, "-i", "text=a", cwd=project)
    assert "setting up" in first.stderr
    for _ in range(2):
        again = cog_nix("run", image, "--keep", *flags, "-i", "text=a", cwd=project)
        assert again.stdout == first.stdout
    assert "No model is kept warm for" in cog_nix("stop", cwd=project).stderr
    source = project / "run.py"
    try:
        source.write_text(RUN.replace('f"{text}', 'f"edited-{text}'))
        cog_nix("build", *flags, "-t", image, cwd=project)
    finally:
        source.write_text(RUN)
    edited = cog_nix("run", image, "--keep", *flags, "-i", "text=a", cwd=project)
    assert edited.stdout.startswith("edited-a")
    assert f"Ended {image}" in cog_nix("stop", image, cwd=project).stderr


def test_an_edit_ends_the_old_one(project: Path) -> None:
    first = run(project, "--keep", "-i", "text=a")
    [old] = place.names()
    source = project / "run.py"
    try:
        source.write_text(RUN.replace('f"{text}', 'f"edited-{text}'))
        edited = run(project, "--keep", "-i", "text=a")
        assert edited[0] == "edited-a"
        assert first[1] != edited[1]
        assert old not in place.names()
        assert len(place.names()) == 1
    finally:
        source.write_text(RUN)


def test_the_environment_tells_models_apart_and_is_written_nowhere(project: Path, own_place: Path) -> None:
    secret = "s3cret-that-nobody-writes"  # noqa: S105 - no secret
    asked = ("--keep", "-i", "variable=TOKEN", "-e")
    one, two = (run(project, *asked, f"TOKEN={secret}-{number}") for number in (1, 2))
    assert (one[-1], two[-1]) == (f"{secret}-1", f"{secret}-2")
    assert run(project, *asked, f"TOKEN={secret}-1")[:2] == one[:2]
    for folder in (own_place, project / ".cog"):
        written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
        assert not any(secret.encode() in text for text in written)
    commands = [Path(path, "cmdline") for path in Path("/proc").glob("[0-9]*")]
    keepers = [text for path in commands if path.exists() and b"keep.keeper" in (text := path.read_bytes())]
    assert keepers
    assert not any(secret.encode() in text for text in keepers)


def test_it_outlives_its_terminal_and_not_its_time(project: Path) -> None:
    with popen(project, "-i", "text=a") as process:
        assert process.wait(120) == 0
    [name] = place.names()
    [told] = client.kept().values()
    os.kill(told["process"], signal.SIGHUP)  # as a terminal does to all that belongs to it
    run(project, "--keep=1s", "-i", "text=a")
    assert place.names() == [name]
    wait_until(lambda: not place.names())
    wait_until(lambda: not Path(f"/proc/{told['process']}").exists())


def test_ctrl_c_cancels_the_prediction_and_leaves_the_model(project: Path) -> None:
    began = run(project, "--keep", "-i", "text=a")[1]
    with popen(project, "-i", "text=long", "-i", "seconds=100") as process:
        assert process.stderr
        assert any(line == "asked long\n" for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
    assert run(project, "--keep", "-i", "text=b")[:2] == ["b", began]


def test_ctrl_c_during_setup_leaves_nothing(project: Path) -> None:
    with popen(project, "-e", "SLEEP=100", "-i", "text=a") as process:
        assert process.stderr
        assert any(line == "setting up\n" for line in process.stderr)
        [told] = client.kept().values()
        assert told["starting"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
    wait_until(lambda: not place.names())
    wait_until(lambda: not Path(f"/proc/{told['process']}").exists())


def test_a_killed_keeper_takes_the_container_with_it(project: Path, own_place: Path) -> None:
    run(project, "--keep", "-i", "text=a")
    [told] = client.kept().values()
    os.kill(told["process"], signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{told['process']}").exists())
    assert client.kept() == {}
    left = {path.name for path in own_place.iterdir()}
    assert run(project, "--keep", "-i", "text=b")[0] == "b"
    assert not left & set(place.names())


def test_the_setting_and_the_variable(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = project / "cog-nix.toml"
    settings.write_text('[run]\nkeep = "5m"\n')
    try:
        run(project, "-i", "text=a")
        assert [told["keep"] for told in client.kept().values()] == [300]
        monkeypatch.setenv("COG_NIX_KEEP", "1h")
        run(project, "-i", "text=a")
        assert [told["keep"] for told in client.kept().values()] == [3600]
        assert "Starting image" in cog_nix("run", "--runtime", "bundle", "--no-keep", cwd=project).stderr
        wrong = cog_nix("run", "--keep=soon", cwd=project, check=False)
        assert "--keep soon: this is not a time" in wrong.stderr
        assert wrong.returncode == 1
    finally:
        settings.unlink()
