"""The same bits: in another store, from a shuffled lock, for another user, anywhere, at any time."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import random
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import stream

from cog_nix.lock import integrity

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.nix, pytest.mark.network]

_NOBODY = pwd.getpwnam("nobody").pw_uid


def _layers(image: stream.Image) -> dict[str, str]:
    return {layer["name"]: layer["diff_id"] for layer in image["layers"]}


def _shuffled(lock: Path) -> str:
    """Return a lock with all lists but its layers in another order, and its keys backwards.

    Its digests are those of the lists as they stand now: otherwise it would be one that somebody edited.
    """
    data = json.loads(lock.read_text())
    shuffle = random.Random(3).shuffle  # noqa: S311 - any order will do
    for holder in (data, data["seed"]):
        for name, value in holder.items():
            if isinstance(value, list) and name != "layers":
                shuffle(value)
    data["integrity"] = integrity.digests(data)
    return json.dumps(dict(reversed(data.items())))


def test_a_second_build_builds_nothing(hello: tuple[Any, stream.Image]) -> None:
    build, image = hello
    before = (build.project / "result").readlink()
    ran = build.run("-v", "build", "--no-load")
    assert (build.project / "result").readlink() == before
    assert "building " not in ran.stderr
    assert stream.read(build.path()) == image


def test_everything_else_different_and_the_same_image(
    hello: tuple[Any, stream.Image], make_build: Callable[..., Any], copy: Callable[..., Path], folder: Path
) -> None:
    """Store, order of the lock, name, time zone, locale, umask, HOME: one build for all, as it takes long."""
    first, image = hello
    project = copy("Ein anderer Name, größer", first.project / "cog-nix.lock")
    (project / "cog-nix.lock").write_text(_shuffled(first.project / "cog-nix.lock"))
    for path in project.iterdir():
        path.chmod(0o600)
        os.utime(path, (1, 1))
    home = folder / "another home"
    home.mkdir()
    environment = {
        "TZ": "Pacific/Chatham",
        "LC_ALL": "tr_TR.ISO8859-9",
        "LANG": "tr_TR.ISO8859-9",
        "HOME": str(home),
        "COG_NIX_CACHE_DIR": os.environ.get("COG_NIX_CACHE_DIR", str(Path.home() / ".cache/cog-nix")),
        "PYTHONHASHSEED": "17",
        "SOURCE_DATE_EPOCH": "1",
    }
    other = make_build(project, folder / "another store", environment)
    before = os.umask(0o077)
    try:
        found = other.image()
    finally:
        os.umask(before)
    assert _layers(found) == _layers(image)
    assert stream.image_id(found) == stream.image_id(image)
    blobs = [_blobs(first, folder / "first"), _blobs(other, folder / "other")]
    assert blobs[0] == blobs[1], "what registries hold, compressed layers and manifest, is the same as well"
    assert len(blobs[0]) == len(image["layers"]) + 2


def _blobs(build: Any, to: Path) -> set[str]:
    """Write an image as registries hold it; return the digests of all its parts."""
    build.run("build", "-o", f"oci:{to}", "-t", "same")
    found = {path.name: path.read_bytes() for path in (to / "blobs/sha256").iterdir()}
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in found.items())
    return set(found)


def _python_for(uid: int) -> tuple[str, str] | None:
    """Return a Python that this user may run, and the packages of ours for it; None: there is none."""
    packages = sysconfig.get_paths()["purelib"]
    named = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, shutil.which(named, path="/usr/bin:/usr/local/bin")):
        if not python:
            continue
        try:
            probe = subprocess.run(
                [python, "-c", "import pluggy, typer, yaml"],
                env={"PYTHONPATH": packages},
                user=uid,
                group=uid,
                extra_groups=[],
                cwd="/",
                capture_output=True,
                check=False,
            )
        except PermissionError:
            continue
        if probe.returncode == 0:
            return python, packages
    return None


@pytest.mark.root
def test_another_user_without_root_gets_the_same_image(
    hello: tuple[Any, stream.Image], make_build: Callable[..., Any], copy: Callable[..., Path], folder: Path
) -> None:
    first, image = hello
    python = _python_for(_NOBODY)
    if python is None:
        pytest.skip("this Python is not readable for other users")
    home = folder / "somebody"
    home.mkdir()
    project = copy("somebody/model", first.project / "cog-nix.lock")
    for path in (home, *home.rglob("*")):
        os.chown(path, _NOBODY, _NOBODY)
    environment = {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "COG_NIX_CACHE_DIR": str(home / "cache/cog-nix"),
        "PYTHONPATH": os.pathsep.join([*first.sources(), python[1]]),
    }
    found = make_build(project, home / "store", environment, python[0], _NOBODY).image()
    assert _layers(found) == _layers(image)
    assert stream.image_id(found) == stream.image_id(image)
