"""``cog-nix explain``: what it prints, and how it ends."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import httpx
import pytest

from cog_nix.errors import CogNixError
from tests.cli.commands import invoke_command

from .samples import LAYERS, archive

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compare.conftest import Folder


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return archive(tmp_path / "image.tar")


def test_layers_packages_and_askers_are_told(path: Path) -> None:
    done = invoke_command("explain", str(path), "--no-shared")
    assert done.exit_code == 0, done.exception
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "on disk stored pulled by layer" in lines
    assert any(line.endswith("layer 2") for line in lines)
    assert any(line.startswith("102.4 kB 101") or "ffmpeg 7:7.1-1" in line for line in lines)
    assert any("torch-vision is asked for in requirements.txt (2 packages," in line for line in lines)


def test_less_can_be_shown(path: Path) -> None:
    some = invoke_command("explain", str(path), "--no-shared", "--top", "2").stdout
    assert "and 12 more (--all)" in some
    assert "more (--all)" not in invoke_command("explain", str(path), "--no-shared", "--all").stdout


def test_a_tree_has_what_came_because_of_what(path: Path) -> None:
    done = invoke_command("explain", str(path), "--no-shared", "--tree")
    lines = [line.lstrip() for line in done.stdout.splitlines()]
    (at,) = (number for number, line in enumerate(lines) if "ffmpeg is asked for" in line)
    assert lines[at + 1].endswith("└─ ffmpeg 7:7.1-1")
    assert lines[at + 2].endswith("   ├─ libavcodec61 7:7.1-1")
    assert lines[at + 3].endswith("   └─ codecs 1-1")
    assert lines[at].split()[:2] == lines[at + 1].split()[:2], "a branch has the size of all below it"


def test_json_and_a_page_together(path: Path) -> None:
    done = invoke_command("explain", str(path), "--no-shared", "--json", "--html", "out.html")
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout)["layers"][0]["sizes"]["stored"] == len(LAYERS[0])
    assert (path.parent / "out.html").read_text().startswith("<!doctype html>")


def test_a_page_alone_leaves_stdout_empty(path: Path) -> None:
    done = invoke_command("explain", str(path), "--no-shared", "--html", "out.html")
    assert done.stdout == ""
    assert "Wrote out.html" in done.stderr


def test_other_images_are_looked_at(path: Path) -> None:
    other = archive(path.parent / "other.tar", LAYERS[:3])
    done = invoke_command("explain", str(path), "--no-shared", "--with", str(other))
    lines = done.stdout.splitlines()
    assert sum("(also in" in line for line in lines) == 3
    assert any(line.endswith("in no other image of 1") for line in lines)


def test_compressed_layers_tell_what_is_pulled(path: Path) -> None:
    packed = [gzip.compress(one, mtime=0) for one in LAYERS]
    plain = json.loads(invoke_command("explain", str(path), "--no-shared", "--json").stdout)
    small = archive(path.parent / "packed.tar", packed)
    assert plain["estimated"]
    # Here the configuration names the files; nothing compares it with the tars inside.
    found = json.loads(invoke_command("explain", str(small), "--no-shared", "--json").stdout)
    assert not found["estimated"]
    assert [one["sizes"]["pulled"] for one in found["layers"]] == list(map(len, packed))
    assert [one["sizes"]["stored"] for one in found["layers"]] == list(map(len, LAYERS))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("./gone.tar",), "There is no image"),
        ((), "cog.yaml not found"),
        (("image.tar", "--json", "--tree"), "--json and --tree: stdout has room for one"),
        (("image.tar", "--no-shared", "--html", "image.tar/page.html"), "Cannot write"),
    ],
    ids=["image", "project", "flags", "page"],
)
def test_what_cannot_be_done_is_told(path: Path, arguments: tuple[str, ...], message: str) -> None:
    assert path.exists()
    done = invoke_command("explain", *arguments)
    assert isinstance(done.exception, CogNixError)
    assert message in done.exception.message


@pytest.mark.nix
@pytest.mark.network
def test_the_image_of_a_project(hello: Folder) -> None:
    ran = hello.run("explain", "--json", "--no-shared")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    lock = json.loads((hello.path / "cog-nix.lock").read_text())
    keys = {one["key"]: one for one in found["packages"]}
    members = [one for _, members in lock["layers"] for one in members]
    assert {one.replace("deb:", "debian:") for one in members if one.startswith("deb:")} <= keys.keys()
    assert {one.replace("wheel:", "python:") for one in members if one.startswith("wheel:")} <= keys.keys()
    assert [one["name"] for one in found["layers"]] == [name for name, _ in lock["layers"]]
    assert not {one["asker"] for one in found["packages"]} & {"nobody that is known"}
    assert keys["project:source"]["sizes"]["disk"] < 100_000
    assert keys["python:cog"]["asker"] == "every image: Cog's SDK and pip"
    by_name = {one["name"]: one["sizes"]["disk"] for one in found["layers"]}
    rest = keys.get("other:files of no package", {"sizes": {"disk": 0}})["sizes"]["disk"]
    assert rest < 0.05 * sum(by_name.values())


@pytest.mark.nix
@pytest.mark.network
@pytest.mark.slow
def test_an_image_in_a_registry_tells_what_is_pulled(hello: Folder, registry: str) -> None:
    image = f"{registry}/explained:v1"
    pushed = hello.run("push", image)
    assert pushed.returncode == 0, pushed.stderr
    ran = hello.run("explain", f"docker://{image}", "--json", "--no-shared", "--with", "./result")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert not found["estimated"]
    accept = (
        "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    )
    answer = httpx.get(f"http://{registry}/v2/explained/manifests/v1", headers={"Accept": accept})
    sizes = [one["size"] for one in answer.json()["layers"]]
    assert [one["sizes"]["pulled"] for one in found["layers"]] == sizes
    here = json.loads(hello.run("explain", "--json", "--no-shared").stdout)
    for one, estimated in zip(found["layers"][:-1], here["layers"], strict=False):
        assert one["name"] == estimated["name"]
        assert abs(one["sizes"]["pulled"] / estimated["sizes"]["pulled"] - 1) < 0.05
