"""What a user sees when something is missing, full, cut off or wrong; and that the next run carries on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.lock import integrity
from tests.faults.world import CONFIG, PREDICTOR, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

pytestmark = [pytest.mark.nix, pytest.mark.network]


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    path = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    return {**os.environ, "PYTHONPATH": path, **extra}


def cog_nix(project: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cog_nix", *arguments],
        cwd=project,
        env=environment(extra),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def lock_text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("locked")
    (folder / "cog.yaml").write_text(CONFIG)
    (folder / "run.py").write_text(PREDICTOR)
    finished = cog_nix(folder, "lock")
    assert finished.returncode == 0, finished.stderr
    return (folder / "cog-nix.lock").read_text()


@pytest.fixture
def locked(project: Path, lock_text: str) -> Path:
    (project / "cog-nix.lock").write_text(lock_text)
    return project


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Return a function that makes a file system of so many megabytes."""
    mounted = []

    def make(megabytes: int) -> Path:
        folder = tmp_path / f"disk-{megabytes}"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder], check=True)
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def left_behind(project: Path) -> set[str]:
    return {path.name for path in project.iterdir()} - {"cog.yaml", "run.py", ".cog"}


def test_unknown_system_packages_are_named_with_line_and_suggestion(project: Path) -> None:
    (project / "cog.yaml").write_text(
        'build:\n  python_version: "3.13"\n'
        "  system_packages:\n    - ffmpg\n    - zzz-no-such\nrun: run.py:Runner\n"
    )
    finished = cog_nix(project, "build", "--no-load")
    assert finished.returncode == 1
    assert "cog.yaml:4: there is no package 'ffmpg' in Debian trixie. Did you mean ffmpeg?" in finished.stderr
    assert "cog.yaml:5: there is no package 'zzz-no-such'" in finished.stderr
    assert left_behind(project) == set()


def test_unsatisfiable_requirement_is_explained(project: Path) -> None:
    (project / "requirements.txt").write_text("idna>99\n")
    (project / "cog.yaml").write_text(
        'build:\n  python_version: "3.13"\n  python_requirements: requirements.txt\nrun: run.py:Runner\n'
    )
    finished = cog_nix(project, "build", "--no-load")
    assert finished.returncode == 1
    assert "requirements.txt cannot be satisfied for Python 3.13" in finished.stderr
    assert "idna>99" in finished.stderr
    assert left_behind(project) == {"requirements.txt"}


def test_unreachable_mirror_is_named_with_what_to_set(project: Path, tmp_path: Path) -> None:
    finished = cog_nix(
        project,
        "lock",
        COG_NIX_DEBIAN_MIRROR="http://127.0.0.1:9/debian",
        COG_NIX_CACHE_DIR=str(tmp_path / "c"),
    )
    assert finished.returncode == 1
    assert "127.0.0.1:9" in finished.stderr
    assert "COG_NIX_DEBIAN_MIRROR" in finished.stderr
    assert left_behind(project) == set()


def test_unreachable_index_is_named_with_what_to_set(project: Path) -> None:
    finished = cog_nix(project, "lock", UV_DEFAULT_INDEX="http://127.0.0.1:9/simple")
    assert finished.returncode == 1
    assert "127.0.0.1:9 cannot be reached" in finished.stderr
    assert "UV_DEFAULT_INDEX" in finished.stderr


def test_file_with_another_hash_is_refused_by_name(locked: Path, tmp_path: Path) -> None:
    lock = json.loads((locked / "cog-nix.lock").read_text())
    wheel = next(wheel for wheel in lock["wheels"] if wheel["name"] == "idna")
    expected = "0" * 64
    wheel["artifact"]["sha256"] = expected
    (locked / "cog-nix.lock").write_text(json.dumps(lock))
    edited = cog_nix(locked, "build", "--no-load", COG_NIX_STORE=str(tmp_path / "store"))
    assert edited.returncode == 1
    assert "cog-nix.lock is not as cog-nix wrote it: wheels changed by hand" in edited.stderr
    lock["integrity"] = integrity.digests(lock)
    (locked / "cog-nix.lock").write_text(json.dumps(lock))
    finished = cog_nix(locked, "build", "--no-load", COG_NIX_STORE=str(tmp_path / "store"))
    assert finished.returncode == 1
    assert f"refused {wheel['artifact']['filename']}" in finished.stderr
    assert f"expected  sha256 {expected}" in finished.stderr
    assert not (locked / "result").exists()


def test_stale_lock_is_refused_and_updated_on_demand(locked: Path) -> None:
    before = (locked / "cog-nix.lock").read_text()
    (locked / "cog.yaml").write_text(
        'build:\n  python_version: "3.13"\n  python_requirements: requirements.txt\nrun: run.py:Runner\n'
    )
    (locked / "requirements.txt").write_text("colorama==0.4.6\n")
    refused = cog_nix(locked, "build", "--no-load")
    assert refused.returncode == 1
    assert "cog-nix.lock does not fit cog.yaml any more" in refused.stderr
    assert "cog-nix build --update-lock" in refused.stderr
    assert (locked / "cog-nix.lock").read_text() == before
    updated = cog_nix(locked, "lock")
    assert updated.returncode == 0, updated.stderr
    assert "added    colorama (Python) 0.4.6" in updated.stderr
    assert "changed" not in updated.stderr


def test_damaged_lock_is_mended_by_upgrading(locked: Path) -> None:
    (locked / "cog-nix.lock").write_text('{"version": 2}')
    refused = cog_nix(locked, "build", "--no-load")
    assert refused.returncode == 1
    assert "cog-nix.lock is damaged" in refused.stderr
    assert cog_nix(locked, "lock", "--upgrade").returncode == 0
    assert json.loads((locked / "cog-nix.lock").read_text())["wheels"]


def test_a_file_whose_name_is_no_text_is_named(locked: Path) -> None:
    Path(os.fsdecode(bytes(locked) + b"/odd\xff.txt")).write_text("x")
    finished = cog_nix(locked, "build", "--no-load")
    assert finished.returncode == 1
    assert "odd\\xff.txt: this file's name is not UTF-8" in finished.stderr
    assert ".dockerignore" in finished.stderr


def test_without_nix_the_way_to_it_is_told(locked: Path, tmp_path: Path) -> None:
    code = "import sys, cog_nix.store.choice as n; n.PROFILES = (); from cog_nix.cli import main; main()"
    nowhere = {
        "COG_NIX_DEBIAN_MIRROR": (tmp_path / "nowhere/debian").as_uri(),
        "COG_NIX_CACHE_DIR": str(tmp_path),
    }
    finished = subprocess.run(
        [sys.executable, "-c", code, "build"],
        cwd=locked,
        env=environment({"PATH": str(tmp_path), **nowhere}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert "Nix is not installed" in finished.stderr
    assert "cog-nix's own cannot be fetched: The Debian mirror file:///" in finished.stderr
    assert "apt-get install nix-bin" in finished.stderr


def test_without_docker_the_image_is_built_and_the_way_to_load_it_told(locked: Path) -> None:
    finished = cog_nix(locked, "--runtime", "docker", "build", DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert finished.returncode == 0
    assert "./result | docker load" in finished.stderr
    assert (locked / "result").is_symlink()


@pytest.mark.root
def test_full_disk_under_the_store_is_said_and_overcome(
    locked: Path, small_disk: Callable[[int], Path], tmp_path: Path
) -> None:
    full = cog_nix(locked, "build", "--no-load", COG_NIX_STORE=str(small_disk(60)))
    assert full.returncode == 1
    assert "The disk is full." in full.stderr
    assert "Traceback" not in full.stderr
    assert not (locked / "result").exists()
    again = cog_nix(locked, "build", "--no-load", COG_NIX_STORE=str(tmp_path / "store"))
    assert again.returncode == 0, again.stderr


@pytest.mark.root
@pytest.mark.parametrize("megabytes", [10, 60, 80], ids=["index", "downloads", "seed"])
def test_full_disk_under_the_cache_is_said(
    project: Path, small_disk: Callable[[int], Path], megabytes: int
) -> None:
    finished = cog_nix(project, "lock", COG_NIX_CACHE_DIR=str(small_disk(megabytes)))
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert "Free some space" in finished.stderr
    assert left_behind(project) == set()


def test_without_user_namespaces_the_switch_is_told(locked: Path, tmp_path: Path) -> None:
    script = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    finished = subprocess.run(
        [
            "unshare",
            "-Urpfm",
            "--mount-proc",
            "sh",
            "-c",
            script,
            "sh",
            sys.executable,
            "-m",
            "cog_nix",
            "build",
        ],
        cwd=locked,
        env=environment(
            {
                "COG_NIX_STORE": str(tmp_path / "store"),
                "DOCKER_HOST": f"unix://{tmp_path}/docker.sock",  # a container would do as well
                "CONTAINER_HOST": f"unix://{tmp_path}/podman.sock",
            }
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert "run in user namespaces, and this machine's settings forbid them" in finished.stderr
    assert "sudo sysctl -w user.max_user_namespaces=15000" in finished.stderr
    assert f"Docker is not running: nothing listens at {tmp_path}/docker.sock" in finished.stderr


def test_a_build_into_a_store_of_ones_own_that_was_killed_is_carried_on(locked: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    for delay in (1.0, 3.0):
        process = subprocess.Popen(
            [sys.executable, "-m", "cog_nix", "build", "--no-load"],
            cwd=locked,
            env=environment({"COG_NIX_STORE": str(store)}),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    finished = cog_nix(locked, "build", "--no-load", COG_NIX_STORE=str(store))
    assert finished.returncode == 0, finished.stderr
    reference = cog_nix(locked, "build", "--no-load", "--no-out-link")
    assert reference.returncode == 0, reference.stderr
    assert (locked / "result").resolve().name == reference.stderr.split()[-1].rpartition("/")[2]
    subprocess.run(["chmod", "-R", "u+w", store], check=True)
    shutil.rmtree(store)


def test_what_the_garbage_collector_took_is_made_anew(locked: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    assert cog_nix(locked, "build", "--no-load", COG_NIX_STORE=store).returncode == 0
    collect = ["nix-store", "--store", store, "--option", "build-users-group", "", "--gc"]
    subprocess.run(collect, check=True, capture_output=True)
    config = CONFIG.replace("run:", "  system_packages:\n    - figlet\nrun:")
    (locked / "cog.yaml").write_text(config)
    finished = cog_nix(
        locked,
        "build",
        "--no-load",
        "--update-lock",
        "-t",
        "registry.example.org/me/model:v2",
        COG_NIX_STORE=store,
    )
    assert finished.returncode == 0, finished.stderr
    said = json.loads(subprocess.check_output([locked / "result", "--inspect"]))
    assert said["tag"] == "registry.example.org/me/model:v2"
    subprocess.run(["chmod", "-R", "u+w", store], check=True)
