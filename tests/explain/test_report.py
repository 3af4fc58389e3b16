"""Whose the files are, who asked for them, and which layers other images have."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.explain.report import LayersUnpackedError, Report, report
from cog_nix.lock.explain import Asked
from cog_nix.lock.model import Run
from cog_nix.lock.reasons import parse
from cog_nix.plugins.manager import load as load_plugins
from cog_nix.report import SilentReporter
from tests.lock.conftest import SRI, make_deb, make_lock, make_wheel

from .samples import LAYERS, NAMES, sample

if TYPE_CHECKING:
    from cog_nix.lock.model import Lock

PLUGINS = load_plugins()


@pytest.fixture(scope="module")
def explained() -> Report:
    return report(sample(), SilentReporter(), PLUGINS)


def files_of(found: Report) -> dict[str, int]:
    return {one.owner.key: one.count for one in found.packages}


def test_every_file_has_its_owner(explained: Report) -> None:
    assert files_of(explained) == {
        "debian:bash": 2,
        "debian:libc6": 2,
        "debian:ffmpeg": 2,
        "debian:libavcodec61": 2,
        "debian:codecs": 2,
        "python:cog": 3,
        "python:coglet": 3,
        "python:torch-vision": 3,
        "python:numpy": 5,
        "python:pytest": 3,
        "interpreter:Python": 1,
        "command:command 1": 2,
        "project:source": 2,
        "other:dpkg's database": 1,
        "other:files of no package": 2,
    }
    versions = {one.owner.key: one.owner.version for one in explained.packages}
    assert (versions["debian:ffmpeg"], versions["python:torch-vision"]) == ("7:7.1-1", "2.0")


def test_the_parts_are_the_whole(explained: Report) -> None:
    for size in ("disk", "stored"):
        whole = getattr(explained.sizes, size)
        assert sum(getattr(one.sizes, size) for one in explained.layers) == whole
        assert sum(getattr(one.sizes, size) for one in explained.packages) == whole
        assert sum(getattr(one.sizes, size) for one in explained.askers) == whole
    assert [one.sizes.stored for one in explained.layers] == list(map(len, LAYERS))
    assert [one.name for one in explained.layers] == list(NAMES)
    assert explained.estimated


def test_what_is_hidden_is_told(explained: Report) -> None:
    assert explained.hidden.disk == 2 * 4096  # a password file, and a library that a whiteout removes


def test_an_image_tells_who_asked(explained: Report) -> None:
    askers = {one.owner.key: one.asker for one in explained.packages}
    assert askers == {
        "debian:bash": "every image: the base system",
        "debian:libc6": "every image: the base system",
        "debian:ffmpeg": "ffmpeg is asked for in cog.yaml",
        "debian:libavcodec61": "ffmpeg is asked for in cog.yaml",
        "debian:codecs": "ffmpeg is asked for in cog.yaml",
        "python:cog": "every image: Cog's SDK and pip",
        "python:coglet": "every image: Cog's SDK and pip",
        "python:torch-vision": "torch-vision is asked for in requirements.txt",
        "python:numpy": "torch-vision is asked for in requirements.txt",
        "python:pytest": "nobody that is known",
        "interpreter:Python": "every image: Python",
        "command:command 1": "command 1 of cog.yaml: make everything",
        "project:source": "the project: its files",
        "other:dpkg's database": "every image: what dpkg and its scripts wrote",
        "other:files of no package": "every image: what dpkg and its scripts wrote",
    }
    chains = {one.owner.key: one.chain for one in explained.packages}
    assert chains["debian:codecs"] == ("debian:ffmpeg", "debian:codecs")


def test_the_largest_files_are_told(explained: Report) -> None:
    (ffmpeg,) = (one for one in explained.packages if one.owner.name == "ffmpeg")
    assert ffmpeg.files == (("usr/bin/ffmpeg", 102_400),)


def lock_of_sample() -> Lock:
    return make_lock(
        base=(make_deb("bash", "5.2-1", "libc6"), make_deb("libc6", "2.41-12")),
        essential=(),
        python=(),
        system=(
            make_deb("ffmpeg", "7:7.1-1", "libavcodec61", "codecs"),
            make_deb("libavcodec61", "7:7.1-1"),
            make_deb("codecs", "1-1"),
        ),
        wheels=(
            make_wheel("cog", "0.23.1", "coglet"),
            make_wheel("coglet", "0.23.1"),
            make_wheel("torch-vision", "2.0", "numpy"),
            make_wheel("numpy", "2.2"),
            make_wheel("pytest", "8.0"),
        ),
        runs=(Run("make everything", "sha256:0", SRI),),
        reasons=(
            parse("pytest", "The project runs pytest"),
            parse("codecs", "numpy 2.2: numpy/core.so needs codecs.so"),
        ),
        layers=(
            ("base", ("deb:bash", "deb:libc6")),
            ("system-packages", ("deb:ffmpeg", "deb:libavcodec61", "deb:codecs")),
            (
                "python-packages",
                ("wheel:cog", "wheel:coglet", "wheel:torch-vision", "wheel:numpy", "wheel:pytest"),
            ),
            ("run-0", ("run:0",)),
            ("source", ("source",)),
        ),
    )


ASKED = Asked(
    system={"ffmpeg": "cog.yaml:5"}, python={"torch-vision": "requirements.txt:2"}, always=("bash",)
)


def test_a_lock_tells_the_lines_and_the_reasons() -> None:
    found = report(sample(), SilentReporter(), PLUGINS, lock=lock_of_sample(), asked=ASKED)
    askers = {one.owner.key: one.asker for one in found.packages}
    assert askers["debian:libavcodec61"] == "ffmpeg is asked for in cog.yaml:5"
    assert askers["python:numpy"] == "torch-vision is asked for in requirements.txt:2"
    assert askers["python:pytest"] == "The project runs pytest"
    assert askers["debian:libc6"] == "every image: the base system"
    assert askers["command:command 1"] == "command 1 of cog.yaml: make everything"


def test_what_goes_with_a_wish_is_told() -> None:
    found = report(sample(), SilentReporter(), PLUGINS, lock=lock_of_sample(), asked=ASKED)
    alone = {one.title: one.alone.disk for one in found.askers}
    sizes = {one.owner.key: one.sizes.disk for one in found.packages}
    # The codecs stay: a library of numpy's needs them as well.
    assert alone["ffmpeg is asked for in cog.yaml:5"] == sizes["debian:ffmpeg"] + sizes["debian:libavcodec61"]


def test_the_lock_of_something_else_is_not_used() -> None:
    lock = lock_of_sample()
    other = replace(lock, base=(make_deb("bash", "5.2-2", "libc6"), make_deb("libc6", "2.41-12")))
    found = report(sample(), SilentReporter(), PLUGINS, lock=other, asked=ASKED)
    assert "ffmpeg is asked for in cog.yaml" in {one.title for one in found.askers}


def test_shared_layers_are_told(explained: Report) -> None:
    ids = [one.diff_id for one in explained.layers]
    found = report(sample(), SilentReporter(), PLUGINS, others={"one": ids[:2], "two": [ids[0], "sha256:0"]})
    assert [one.shared for one in found.layers] == [("one", "two"), ("one",), (), (), ()]
    assert found.own.stored == sum(map(len, LAYERS[2:]))
    assert found.others == 2


def test_a_dockerfile_names_layers() -> None:
    made = sample()
    made.config["history"] = [
        {"created_by": "/bin/sh -c #(nop) ADD file:1 in / "},
        {"created_by": "RUN /bin/sh -c apt-get update # buildkit"},
        {"created_by": "COPY . /src # buildkit"},
        {},
        {"created_by": "/bin/sh -c make"},
    ]
    names = [one.name for one in report(made, SilentReporter(), PLUGINS).layers]
    assert names == ["ADD file:1 in /", "RUN /bin/sh -c apt-get update", "COPY . /src", "", "make"]


@pytest.mark.parametrize("label", ["", "[]", '{"build": 3}', "{"])
def test_a_label_that_says_nothing_is_nothing(label: str) -> None:
    made = sample()
    made.config["config"]["Labels"] = {"run.cog.config": label}
    assert "nobody that is known" in {one.title for one in report(made, SilentReporter(), PLUGINS).askers}


def test_layers_that_are_unpacked_are_an_error() -> None:
    with pytest.raises(LayersUnpackedError, match="sample has its layers unpacked"):
        report(replace(sample(), open=None), SilentReporter(), PLUGINS)


def test_json_has_all_of_it(explained: Report) -> None:
    found: dict[str, Any] = json.loads(json.dumps(explained.plain()))
    (ffmpeg,) = (one for one in found["packages"] if one["key"] == "debian:ffmpeg")
    assert ffmpeg["version"] == "7:7.1-1"
    assert ffmpeg["asker"] == "ffmpeg is asked for in cog.yaml"
    assert found["layers"][0]["sizes"]["stored"] == len(LAYERS[0])
