"""Newer Nix than this machine's does the same: Debian's own packages of it, run from a folder."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.config.model import Settings
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.plugins.spec import Context, SystemRequest
from cog_nix.report import SilentReporter
from cog_nix.resolve.seed import store_name
from cog_nix.run_commands.ensure import STORE_NAME
from cog_nix.store import users
from cog_nix.store.nix import Nix
from cog_nix.store.paths import tree_path
from cog_nix.system.paths import cache_dir
from cog_nix_hooks.debian import release, resolve_system_packages

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SECRET = "correct-horse-battery-paddock"  # noqa: S105 - what must be found nowhere
PLAIN = "echo made > /made && chown 33:34 /made && chmod 4755 /made"
CONFIG = f"""\
build:
  python_version: "3.13"
  run:
    - {PLAIN}
"""
SECOND = """\
    - command: wc -c < /run/secrets/token > /length; cat /run/secrets/token
      mounts:
        - type: secret
          id: token
          target: /run/secrets/token
"""
PROGRAMS = ("nix", "nix-build", "nix-daemon", "nix-store")
OPTIONS = [
    *("--extra-experimental-features", "nix-command flakes", "--option", "substitute", "false"),
    *(
        "--option",
        "sandbox",
        "true",
        "--option",
        "sandbox-fallback",
        "false",
        "--option",
        "sandbox-paths",
        "",
    ),
    *("--option", "build-users-group", ""),
]

DAEMON = """\
store=$1; shift
mount --bind "$store/nix" /nix && rm -rf /nix/var/nix/daemon-socket || exit 1
env -u NIX_REMOTE nix-daemon & daemon=$!
until [ -S /nix/var/nix/daemon-socket/socket ]; do kill -0 $daemon || exit 1; sleep 0.1; done
"$@"; status=$?
kill $daemon
exit $status
"""
"""Runs a command with a daemon whose store is a folder; the machine's own stays as it is."""

pytestmark = [pytest.mark.nix, pytest.mark.network]


@dataclass(frozen=True)
class Version:
    """A Nix, and a store that it alone works on."""

    number: str
    path: str
    store: Path

    def cog_nix(self, project: Path, *arguments: str) -> str:
        """Run cog-nix with this Nix; return what it said."""
        modules = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
        env = {**os.environ, "PYTHONPATH": modules, "COG_NIX_STORE": str(self.store), "PATH": self.path}
        command = [sys.executable, "-m", "cog_nix", *arguments]
        finished = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
        return finished.stderr

    def run(self, *arguments: str) -> str:
        """Run Nix itself; return what it wrote."""
        env = {**os.environ, "PATH": self.path}
        finished = subprocess.run(arguments, env=env, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    def real(self, store_path: str) -> Path:
        """Return where a store path is."""
        return self.store / "nix/store" / Path(store_path).name

    def forget(self, store_path: str) -> None:
        """Remove a path, and all that refers to it, from the store."""
        options = ["--store", str(self.store), "--option", "build-users-group", ""]
        found = self.run("nix-store", *options, "--query", "--referrers-closure", store_path).split()
        self.run("nix-store", *options, "--delete", "--ignore-liveness", *found)
        assert not self.real(store_path).exists()


def install_nix(suite: str, folder: Path) -> Path:
    """Unpack a suite's Nix and the libraries it needs; return a folder of programs."""
    reporter = SilentReporter()
    fetcher = CachingFetcher(cache_dir(), reporter)
    context = Context(Settings(), fetcher, reporter, cache_dir())
    found = resolve_system_packages(SystemRequest(suite=suite, groups=(("nix", ("nix-bin",)),)), context)
    assert found is not None
    debs = found.groups["nix"]
    files = fetcher.artifacts([deb.artifact for deb in debs])
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", files[deb.artifact.sha256], folder], check=True)
    programs = folder / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        loader = f"{folder}/usr/lib64/ld-linux-x86-64.so.2 --argv0 {name}"
        libraries = f"--library-path {folder}/usr/lib/x86_64-linux-gnu"
        script = programs / name
        # Where Nix finds itself, to ask which machine builds: its own file is the loader here.
        own = f"export NIX_BIN_DIR={programs}"
        script.write_text(f'#!/bin/sh\n{own}\nexec {loader} {libraries} {folder}/usr/bin/nix "$@"\n')
        script.chmod(0o755)
    return programs


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder for stores, which make parts of themselves read-only.

    Nix has users for builders only where nobody else may exchange a store's folder, as in /tmp.
    """
    root = os.geteuid() == 0
    made = Path(tempfile.mkdtemp(prefix="cog-nix-versions-", dir="/var/lib")) if root else None
    made = made or tmp_path_factory.mktemp("versions")
    made.chmod(0o755)
    yield made
    subprocess.run(["chmod", "-R", "u+w", made], check=False, capture_output=True)
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def project(scratch: Path) -> Path:
    """Return a checkout of what the flake needs, with a project that has two commands."""
    checkout = scratch / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    for part in ("nix", "cog_nix"):
        shutil.copytree(ROOT / part, checkout / part, ignore=ignored)
    shutil.copy(ROOT / "flake.nix", checkout)
    made = checkout / "examples/model"
    made.mkdir(parents=True)
    (made / "token").write_text(f"{SECRET}\n")
    (made / ".dockerignore").write_text("token\n")
    return made


def write(project: Path, *more: str, returned: str = "text") -> None:
    (project / "cog.yaml").write_text("".join([CONFIG, *more, "run: run.py:run\n"]))
    (project / "run.py").write_text(f"def run(text: str) -> str:\n    return {returned}\n")


@pytest.fixture(scope="module")
def versions(scratch: Path, project: Path) -> list[Version]:
    """Return the newest Nix, whose empty store was built in, and older ones with copies of that store."""
    with pytest.MonkeyPatch.context() as patch:
        # Nobody signs an unstable suite anew while its archive is not updated; the signature counts.
        patch.setattr(release, "_check_time", lambda *_, **__: None)
        paths = [str(install_nix(suite, scratch / suite)) for suite in ("sid", "trixie")]
    paths = [*(f"{path}{os.pathsep}{os.environ['PATH']}" for path in paths), os.environ["PATH"]]
    found = []
    for path in paths:
        said = subprocess.run(
            ["nix-build", "--version"], env={"PATH": path}, capture_output=True, text=True, check=True
        )
        number = said.stdout.split()[-1]
        found.append(Version(number, path, scratch / f"store-{number}"))
    write(project, SECOND)
    found[0].cog_nix(project, "build", "--no-load", "--secret", "id=token,src=token")
    for version in found[1:]:
        # Nobody changes a file in a store, so its contents can be shared.
        shutil.copytree(
            found[0].store / "nix/store", version.store / "nix/store", copy_function=os.link, symlinks=True
        )
        shutil.copytree(found[0].store / "nix/var", version.store / "nix/var", symlinks=True)
    shutil.copy(project / "cog-nix.lock", scratch)
    return found


@pytest.fixture
def locked(versions: list[Version], project: Path, scratch: Path) -> str:
    """Return the lock of both commands, which the project has again."""
    assert len({version.number for version in versions}) == len(versions)
    write(project, SECOND)
    shutil.copy(scratch / "cog-nix.lock", project)
    return (project / "cog-nix.lock").read_text()


def test_every_nix_makes_the_same_image_and_the_same_of_commands(
    versions: list[Version], project: Path, locked: str
) -> None:
    # What is above the commands has to be made anew.
    write(project, SECOND, returned="text.upper()")
    images = {}
    for version in versions:
        said = version.cog_nix(project, "build", "--no-load", "--no-cache", "--secret", "id=token,src=token")
        assert "Running 2 of 2" in said
        assert "  ***" in said
        assert SECRET not in said
        image = version.real(str((project / "result").readlink()))
        images[version.number] = (image.name, image.read_bytes())
        (project / "result").unlink()
    assert (project / "cog-nix.lock").read_text() == locked
    assert len(set(images.values())) == 1


@pytest.mark.root
def test_what_a_builder_runs_cannot_get_out_and_is_not_root_where_nix_knows_others(
    versions: list[Version], locked: str
) -> None:
    seed = json.loads(locked)["seed"]
    path = tree_path(seed["nar_sha256"], store_name(seed["python"]))
    with socket.create_server(("127.0.0.1", 0)) as server:
        facts = json.dumps({"file": __file__, "pid": 1, "pid_says": "init", "port": server.getsockname()[1]})
        for version in versions:
            nix = Nix(Path(version.path.partition(os.pathsep)[0]), "own", version.store)
            if version.number != "2.8.0":
                nix = replace(nix, users=users.options(nix.bin_dir, None, cache_dir()))
                assert "auto-allocate-uids" in nix.users
            command = ["nix-build", str(ROOT / "tests/probes/derivation.nix"), "--no-out-link"]
            command = [
                command[0],
                *nix.command(*command)[1:],
                "--argstr",
                "seed",
                path,
                "--argstr",
                "facts",
                facts,
            ]
            made = version.real(version.run(*command).strip())
            *lines, links = made.read_text().splitlines()
            assert links == "LINKS []"
            assert len(lines) == 2
            for line in lines:
                found = json.loads(line.removeprefix("ESCAPE "))
                assert found["worked"] == {}, version.number
                # Somebody else's file is not to be written to; one's own would be, were it not read-only.
                denied = "Read-only file system" if version.number == "2.8.0" else "Permission denied"
                assert denied in found["refused"]["open_core_pattern"]


@pytest.mark.root
def test_results_get_into_the_store_of_a_daemon(
    versions: list[Version], project: Path, scratch: Path, locked: str
) -> None:
    newest = versions[0]
    (scratch / "nix.conf").write_text("build-users-group =\nsandbox-paths =\nsubstitute = false\n")
    modules = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    env = {
        **os.environ,
        "PATH": newest.path,
        "PYTHONPATH": modules,
        "NIX_CONF_DIR": str(scratch),
        "NIX_REMOTE": "daemon",
    }
    Path("/nix").mkdir(exist_ok=True)
    again = [sys.executable, "-m", "cog_nix", "build", "--no-load", "--no-out-link", "--no-cache"]
    command = ["unshare", "--mount", "sh", "-c", DAEMON, "sh", str(newest.store), *again]
    finished = subprocess.run(
        [*command, "--secret", "id=token,src=token"],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "Running 2 of 2" in finished.stderr
    assert "accepted connection" in finished.stderr
    assert (project / "cog-nix.lock").read_text() == locked


@pytest.mark.usefixtures("locked")
def test_every_nix_builds_the_flake_and_runs_commands_that_need_no_secret(
    versions: list[Version], project: Path
) -> None:
    write(project)
    versions[0].cog_nix(project, "build", "--no-load", "--update-lock")
    built = versions[0].real(str((project / "result").readlink()))
    expected = json.loads(subprocess.check_output([built, "--inspect"]))["id"]
    (project / "result").unlink()
    (result,) = json.loads((project / "cog-nix.lock").read_text())["runs"]
    for version in versions:
        version.forget(tree_path(result["nar_sha256"], STORE_NAME))
        options = [*OPTIONS, "--store", str(version.store), "--no-link", "--json"]
        written = version.run("nix", "build", *options, f"path:{project.parents[1]}#model")
        image = version.real(json.loads(written)[0]["outputs"]["out"])
        assert json.loads(subprocess.check_output([image, "--inspect"]))["id"] == expected
        assert version.real(tree_path(result["nar_sha256"], STORE_NAME)).is_dir()
