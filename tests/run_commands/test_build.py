"""Commands run by the real Nix: what they see, what they leave, what is written down."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import unpack

from cog_nix.run_commands.ensure import STORE_NAME
from cog_nix.store import nix
from cog_nix.store.paths import tree_path

if TYPE_CHECKING:
    from .conftest import Folder

    Built = tuple[Folder, str, str]

SECRET = "correct-horse-battery-staple"  # noqa: S105 - what must be found nowhere

pytestmark = [pytest.mark.nix, pytest.mark.network]


def result(folder: Folder, number: int) -> Path:
    """Return where a command's result is."""
    recorded = json.loads(folder.lock)["runs"][number]["nar_sha256"]
    return nix.discover().real(tree_path(recorded, STORE_NAME))


def left(folder: Folder, number: int) -> set[str]:
    """Return the paths of a command's layer, folders left out."""
    lines = (line.split("\t") for line in (result(folder, number) / "index.tsv").read_text().splitlines())
    return {json.loads(fields[-1]) for fields in lines if fields[0] == "f"}


def in_image(tag: str, script: str) -> str:
    command = ["docker", "run", "--rm", "--network=none", "--entrypoint", "sh", tag, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.docker
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("cat /lines", "one\ntwo\n", id="dash-expands-what-echo-is-given"),
        pytest.param("cat /where", "/\n", id="every-command-begins-at-the-root"),
        pytest.param("ls /usr/share/base-files/dot.bashrc || echo gone", "gone\n", id="removed-file"),
        pytest.param("seven; echo $?", "7\n", id="compiled-program-runs"),
        pytest.param("which gcc git curl apt-get; true", "", id="tools-stay-out"),
        pytest.param("cat /src/fetched/weights /src/run.py | head -1", "here\n", id="files-in-src-survive"),
        pytest.param(
            "python -c 'import tiny; print(tiny.__file__, tiny.__cached__)'",
            "/usr/local/lib/python3.13/site-packages/tiny.py "
            "/usr/local/lib/python3.13/site-packages/__pycache__/tiny.cpython-313.pyc\n",
            id="pip-install-lands-in-site-packages",
        ),
        pytest.param("pip freeze | grep tiny", "tiny @ file:///tiny-1.0-py3-none-any.whl", id="pip-knows-it"),
        pytest.param("cat /length", "29\n", id="secret-was-there"),
        pytest.param("cat /last", "last\n", id="pre-install-and-exec-form"),
    ],
)
def test_the_image_has_what_commands_made(built: Built, script: str, expected: str) -> None:
    assert in_image(built[1], script).startswith(expected)
    assert expected or not in_image(built[1], script)


@pytest.mark.docker
def test_the_label_lists_what_pip_lists(built: Built) -> None:
    shown = subprocess.run(
        ["docker", "inspect", "--format", '{{index .Config.Labels "run.cog.pip_freeze"}}', built[1]],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.split() == in_image(built[1], "pip freeze").split()


def test_a_layer_holds_only_what_changed(built: Built) -> None:
    assert left(built[0], 0) == {"lines", "src/fetched/weights"}
    assert left(built[0], 1) == {"where", "usr/share/base-files/.wh.dot.bashrc"}
    assert left(built[0], 4) == set()
    assert left(built[0], 5) == {"length"}


def test_what_commands_print_is_shown_without_secrets(built: Built) -> None:
    said = built[2]
    assert "Running 4 of 7" in said
    assert "Successfully installed tiny-1.0" in said
    assert "  ***" in said


def test_a_secret_is_nowhere(built: Built) -> None:
    folder, _, said = built
    assert SECRET not in said
    places = [folder.path / "cog-nix.lock", folder.path / ".cog", nix.discover().real("result").parent]
    drvs = [path for path in places[2].iterdir() if path.name.endswith(("-run", "-run.drv"))]
    logs = Path("/nix/var/log/nix/drvs")
    found = subprocess.run(
        ["grep", "-rl", SECRET, *places[:2], *drvs, *([logs] if logs.is_dir() else [])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (1, "")


def test_nothing_runs_twice_and_no_network_is_needed(built: Built) -> None:
    before = built[0].lock
    said = built[0].run("build", "--no-load", "--offline").stderr
    assert "Running" not in said
    assert built[0].lock == before


def test_every_command_gives_the_same_again(built: Built) -> None:
    before = built[0].lock
    said = built[0].run("build", "--no-load", "--no-cache", "--secret", "id=token,src=token").stderr
    assert "Running 7 of 7" in said
    assert built[0].lock == before


def test_only_an_edited_command_and_those_after_it_run(plain: Folder) -> None:
    plain.commands("echo 1 > /1", "echo 2 > /2", "echo 3 > /3")
    assert "Running 3 of 3" in plain.run("build", "--no-load", "--update-lock").stderr
    plain.commands("echo 1 > /1", "echo two > /2", "echo 3 > /3")
    refused = plain.run("build", "--no-load", check=False)
    assert refused.returncode == 1
    assert "--update-lock" in refused.stderr
    said = plain.run("build", "--no-load", "--update-lock").stderr
    assert [line for line in said.splitlines() if line.startswith("Running")] == [
        "Running 2 of 3: echo two > /2",
        "Running 3 of 3: echo 3 > /3",
    ]
    plain.commands("echo 1 > /1")
    assert "Running" not in plain.run("build", "--no-load", "--update-lock").stderr
    assert len(json.loads(plain.lock)["runs"]) == 1


def test_other_variables_make_results_stale(plain: Folder) -> None:
    plain.commands("echo $NAME > /name")
    plain.run("build", "--no-load", "--update-lock")
    config = plain.path / "cog.yaml"
    config.write_text(f"{config.read_text()}environment:\n  - NAME=other\n")
    refused = plain.run("build", "--no-load", check=False)
    assert "cog.yaml:4: what this command runs on has changed" in refused.stderr
    plain.run("build", "--no-load", "--update-lock")
    assert b"other\n" in (result(plain, 0) / "files.tar").read_bytes()


def test_a_command_that_gives_something_else_is_named_with_its_files(plain: Folder) -> None:
    plain.commands("date +%N > /clock && echo same > /same && touch /$(date +%N)")
    plain.run("build", "--no-load", "--update-lock")
    before = plain.lock
    refused = plain.run("build", "--no-load", "--no-cache", check=False)
    assert refused.returncode == 1
    assert "cog.yaml:4: this command does not give the result that is recorded" in refused.stderr
    assert "  changed  /clock\n" in refused.stderr
    assert "  missing  /" in refused.stderr
    assert "  new      /" in refused.stderr
    assert "/same\n" not in refused.stderr
    assert "cog-nix build --update-lock" in refused.stderr
    assert plain.lock == before
    accepted = plain.run("build", "--no-load", "--no-cache", "--update-lock")
    assert "  changed  /clock\n" in accepted.stderr
    assert plain.lock != before


def test_a_failure_names_the_command_and_keeps_what_went_before(plain: Folder) -> None:
    plain.commands("echo kept > /kept", "echo going && echo wrong >&2 && exit 3")
    failed = plain.run("build", "--no-load", "--update-lock", check=False)
    assert failed.returncode == 1
    assert "cog.yaml:5: this command ended with exit status 3:\n  echo going && echo" in failed.stderr
    assert "The last it printed:\n  going\n  wrong\n" in failed.stderr
    assert len(json.loads(plain.lock)["runs"]) == 1


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (
            "jq --version",
            "jq is not there. Add jq to build.system_packages, then run:  cog-nix build --update",
        ),
        ("nvcc --version", "Write in cog-nix.toml:\n  [gpu]\n  toolkit = true\n"),
    ],
)
def test_a_command_that_misses_a_program_comes_with_what_to_write(
    plain: Folder, command: str, advice: str
) -> None:
    plain.commands(command)
    failed = plain.run("build", "--no-load", "--update-lock", check=False)
    assert failed.returncode == 1
    assert advice in failed.stderr


def test_offline_names_commands_that_never_ran(plain: Folder) -> None:
    plain.commands("echo never")
    plain.run("lock")
    refused = plain.run("build", "--no-load", "--offline", check=False)
    assert refused.returncode == 1
    assert "the result of the command: echo never" in refused.stderr


@pytest.mark.docker
def test_what_a_program_links_to_comes_with_it_and_owners_stay(plain: Folder) -> None:
    plain.commands(
        "echo 'int main(void) { return 3; }' | gcc -xc -fopenmp -Wl,--no-as-needed -o /usr/local/bin/three -",
        "mkdir /src/mine && chown 33:34 /src/mine && chmod 4755 /usr/local/bin/three",
    )
    plain.run("lock")
    unlinked = plain.lock
    said = plain.run("build", "-t", "cog-nix-test-linked", "--update-lock").stderr
    assert "Adding libgomp1: Command 1 links to libgomp.so.1" in said
    script = "three; echo $?; stat -c '%u %g' /src/mine; stat -c %a /usr/local/bin/three; dpkg --audit"
    assert in_image("cog-nix-test-linked", script) == "3\n33 34\n4755\n"
    assert "ii  libgomp1" in in_image("cog-nix-test-linked", "dpkg -l libgomp1")
    before = plain.lock
    again = plain.run("build", "--no-load").stderr
    assert "Running" not in again
    assert "Adding" not in again
    assert "is up to date" in plain.run("lock").stderr
    assert plain.lock == before
    explained = plain.run("lock", "--explain", "libgomp1").stdout
    assert "Command 1: usr/local/bin/three needs libgomp.so.1" in explained
    (plain.path / "cog-nix.lock").write_text(unlinked)
    assert "Adding libgomp1" in plain.run("build", "--no-load", "--update-lock").stderr
    assert plain.lock == before
    plain.commands("echo nothing > /nothing")
    plain.run("build", "--no-load", "--update-lock")
    assert "libgomp1" not in {deb["package"] for deb in json.loads(plain.lock)["linked"]}


def test_a_secret_does_not_get_into_the_image(plain: Folder) -> None:
    plain.commands("--mount=type=secret,id=token,env=TOKEN,required=true echo $TOKEN > /root/leak")
    missing = plain.run("build", "--no-load", "--update-lock", check=False)
    assert "cog.yaml:4: secret token: not found" in missing.stderr
    (plain.path / "token").write_text(SECRET)
    refused = plain.run("build", "--no-load", "--update-lock", "--secret", "id=token,src=token", check=False)
    assert "the command leaves the secret token in /root/leak" in refused.stderr
    assert SECRET not in refused.stderr


def test_apt_installs_into_the_image_and_its_database(plain: Folder) -> None:
    plain.commands("apt-get update", "apt-get install -y --no-install-recommends jq patch")
    plain.run("build", "--no-load", "--update-lock")
    assert left(plain, 0) == set()
    files = left(plain, 1)
    assert {
        "usr/bin/jq",
        "usr/bin/patch",
        "var/lib/dpkg/info/jq.list",
        "var/lib/dpkg/info/patch.list",
    } <= files
    assert not [path for path in files if path.startswith(("var/lib/apt/lists/", "var/cache/", "var/log/"))]
    status = unpack.view([result(plain, 1)]).contents("var/lib/dpkg/status").decode()
    installed = {
        line.removeprefix("Package: ") for line in status.splitlines() if line.startswith("Package: ")
    }
    assert {"jq", "patch", "bash"} <= installed
    assert not {"gcc", "apt", "git"} & installed
