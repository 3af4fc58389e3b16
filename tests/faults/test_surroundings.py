"""What a user sees where a project's files or the machine around it are not as they should be."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.faults.world import CONFIG, PREDICTOR, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow  # starts the command line for each test

FUNCTION = f'cog_nix() {{ "{sys.executable}" -P -m cog_nix "$@"; }}\n'


def shell(project: Path, line: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell in a project, where ``cog_nix`` is the program."""
    path = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    return subprocess.run(
        ["/bin/bash", "-c", FUNCTION + line],
        cwd=project,
        env={**os.environ, "PYTHONPATH": path, **extra},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=900,
    )


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """See that a command ended with one message."""
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    assert done.returncode == 1, done
    assert done.stderr.startswith("error: "), done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_circle(path: Path) -> None:
    path.symlink_to(path.name)


def make_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [make_pipe, make_endless, make_circle, make_folder])
def test_a_cog_yaml_that_is_no_file(project: Path, make: Callable[[Path], None]) -> None:
    (project / "cog.yaml").unlink()
    make(project / "cog.yaml")
    refused(shell(project, "cog_nix config"), "cog.yaml")


@pytest.mark.parametrize("name", ["run.py", "cog-nix.toml", "requirements.txt"])
@pytest.mark.parametrize("make", [make_pipe, make_endless])
def test_other_files_that_are_none(project: Path, name: str, make: Callable[[Path], None]) -> None:
    (project / name).unlink(missing_ok=True)
    make(project / name)
    (project / "cog.yaml").write_text(
        CONFIG.replace("build:", "build:\n  python_requirements: requirements.txt")
    )
    if name != "requirements.txt":
        (project / "requirements.txt").write_text("")
    command = "cog_nix lock" if name == "cog-nix.toml" else "cog_nix schema"
    refused(shell(project, command), name)


def test_a_cog_yaml_that_links_out_of_the_project(project: Path, tmp_path: Path) -> None:
    (project / "cog.yaml").rename(tmp_path / "elsewhere.yaml")
    (project / "cog.yaml").symlink_to("../elsewhere.yaml")
    refused(shell(project, "cog_nix build --no-load"), "cog.yaml", "out of the project")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_who_reads_stdout_leaves_in_the_middle(project: Path, unbuffered: str) -> None:
    """Of what is more than a pipe holds; it ends as by SIGPIPE, as other programs do."""
    described = f'text: str = Input(description="{"x" * 400_000}")'
    (project / "run.py").write_text(
        PREDICTOR.replace("text: str", described).replace("BaseRunner", "BaseRunner, Input", 1)
    )
    line = "cog_nix schema | head -c 10; exit ${PIPESTATUS[0]}"
    done = shell(project, line, PYTHONUNBUFFERED=unbuffered)
    assert (done.stderr, done.returncode) == ("", 141)


@pytest.mark.parametrize("command", ["config", "schema"])
class TestStandardStreams:
    def test_stdout_is_closed(self, project: Path, command: str) -> None:
        refused(shell(project, f"cog_nix {command} >&-"), "standard output")

    def test_stdout_is_full(self, project: Path, command: str) -> None:
        refused(shell(project, f"cog_nix {command} >/dev/full"), "No space left on device")

    def test_nobody_reads_stdout(self, project: Path, command: str) -> None:
        done = shell(project, f"cog_nix {command} | true; exit ${{PIPESTATUS[0]}}")
        assert (done.stderr, done.returncode in {0, 141}) == ("", True)

    def test_stderr_is_closed(self, project: Path, command: str) -> None:
        done = shell(project, f"cog_nix {command} 2>&-")
        assert done.returncode == 0
        assert done.stdout.startswith("{")

    def test_all_are_closed(self, project: Path, command: str) -> None:
        assert shell(project, f"cog_nix {command} <&- >&- 2>&-").returncode == 1


def test_an_error_with_stderr_closed_still_has_its_status(project: Path) -> None:
    (project / "cog.yaml").write_text("build: [")
    assert shell(project, "cog_nix config 2>&-").returncode == 1


@pytest.mark.parametrize(
    "tag", ["A B", "-x", "a:b:c", "a@sha256:" + "0" * 64, "UPPER", "é", "a\nb", "a" * 300]
)
def test_a_name_that_no_image_can_have(project: Path, tag: str) -> None:
    refused(shell(project, 'cog_nix build --no-load --tag="$TAG"', TAG=tag), tag)


def test_a_name_that_no_archive_can_get(project: Path) -> None:
    refused(shell(project, "cog_nix load --tag 'A B'"), "A B")


NO_TEMPORARY_FOLDER = """import sys, tempfile
tempfile._candidate_tempdir_list = lambda: ["/nowhere"]
sys.argv[1:] = ["config"]
from cog_nix.cli import main
main()
"""


def test_no_folder_for_temporary_files(project: Path) -> None:
    refused(shell(project, f'"{sys.executable}" -c "$CODE"', CODE=NO_TEMPORARY_FOLDER), "TMPDIR")


def test_the_current_folder_is_gone(project: Path) -> None:
    refused(shell(project, 'mkdir gone; cd gone; rmdir "$PWD"; cog_nix build'), "current folder")


DEEP = """for _ in $(seq 25); do mkdir "$NAME"; cd "./$NAME" || exit 1; done
cog_nix config
"""


def test_a_folder_whose_path_is_longer_than_a_path_can_be(project: Path) -> None:
    done = shell(project, DEEP, NAME="n" * 200)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in {0, 1}


def test_no_home_folder(project: Path) -> None:
    assert shell(project, "env -u HOME -u XDG_CACHE_HOME " + program("config")).returncode == 0
    done = shell(project, program("config"), HOME="/proc/none", XDG_CACHE_HOME="")
    assert "Traceback" not in done.stderr


def program(arguments: str) -> str:
    return f'"{sys.executable}" -P -m cog_nix {arguments}'


@pytest.mark.parametrize("locale", ["C", "POSIX", "none.such"])
def test_any_locale(project: Path, locale: str) -> None:
    (project / "run.py").write_text(PREDICTOR.replace("text: str)", 'text: str = "é→")'))
    done = shell(project, "cog_nix schema", LC_ALL=locale, LANG=locale)
    assert done.returncode == 0, done.stderr
    assert "\\u00e9" in done.stdout or "é" in done.stdout


@pytest.mark.nix
@pytest.mark.network
def test_names_that_are_no_text(project: Path) -> None:
    (project / os.fsdecode(b"caf\xe9.txt")).write_text("")
    done = shell(project, "cog_nix build --no-load 2>&1 | grep -A9 ^error >&2; exit ${PIPESTATUS[0]}")
    refused(done, "caf\\xe9.txt", ".dockerignore")


READ_ONLY = """mount --bind "$PROJECT" "$MOUNTED"
mount -o remount,bind,ro "$MOUNTED"
cd "$MOUNTED"
cog_nix build --no-load
"""


@pytest.mark.root
@pytest.mark.nix
@pytest.mark.network
def test_a_project_that_cannot_be_written_to_is_built(project: Path, tmp_path: Path) -> None:
    assert shell(project, "cog_nix lock").returncode == 0
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    line = f"set -e; {FUNCTION}{READ_ONLY}"
    done = shell(
        project, 'unshare --mount /bin/bash -c "$LINE"', LINE=line, PROJECT=str(project), MOUNTED=str(mounted)
    )
    assert done.returncode == 0, done.stderr
    assert "there is no ./result" in done.stderr
    assert "/store/" in done.stderr.splitlines()[-1]
    there = {one.name for one in project.iterdir()}
    assert there - {".cog"} == {"cog-nix.lock", "cog.yaml", "run.py"}  # .cog is of the time before
