"""Two images side by side, and what is printed of them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from cog_nix.cli.comparing import told
from cog_nix.compare.images import compare
from cog_nix.compare.subject import Layer

from .samples import image, layer

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BASE, SOURCE = layer({"etc/os-release": "x\n"}), layer({"src/run.py": "a = 1\n"})
OTHER = layer({"src/run.py": "a = 2\n"})


def test_the_same_image() -> None:
    found = compare(image(BASE, SOURCE), image(BASE, SOURCE, title="rebuilt"))
    assert found.same
    assert not found.settings
    assert found.detail is None
    assert found.plain()["layers"][0] == {
        "name": "0",
        "same": True,
        "diff_ids": [found.first.layers[0].diff_id] * 2,
    }


def test_the_first_layer_that_differs_is_looked_into() -> None:
    found = compare(image(BASE, SOURCE, BASE), image(BASE, OTHER, BASE))
    assert not found.same
    assert [pair.same for pair in found.layers] == [True, False, True]
    assert found.detail
    assert list(map(str, found.detail.differences)) == ["src/run.py: bytes 4 to 4: b'1\\n' and b'2\\n'"]
    assert found.plain()["first_layer"]["files"] == [
        {"path": "src/run.py", "kind": "contents", "attributes": [], "bytes": [4, 5]}
    ]


def test_a_layer_more_is_in_one_only() -> None:
    lines = list(told(compare(image(BASE), image(BASE, SOURCE)), ("old", "new")))
    assert lines[-1].split() == ["layer", "1", "is", "in", "one", "only"]


def test_settings_are_told_as_deep_down_as_can_be() -> None:
    first = image(BASE, Env=["A=1", "B=2"], Labels={"a.b": "1", "c": "2"}, User="x")
    second = image(BASE, Env=["A=1", "B=3"], Labels={"a.b": "1"}, User="x", Cmd=["run"])
    found = compare(first, second)
    assert [(one.name, one.first, one.second) for one in found.settings] == [
        ("config.Env[1]", '"B=2"', '"B=3"'),
        ("config.Labels.c", '"2"', ""),
        ("config.Cmd", "", '["run"]'),
    ]
    assert "  config.Labels.c: new has none" in list(told(found, ("old", "new")))


def test_manifests_are_the_same_where_one_of_the_built_is_the_registrys() -> None:
    built = replace(image(BASE), manifests=("sha256:oci", "sha256:docker"))
    assert compare(replace(image(BASE), manifests=("sha256:docker",)), built).manifest == "same"
    assert compare(replace(image(BASE), manifests=("sha256:else",)), built).manifest == "differs"
    assert compare(image(BASE), built).manifest == "not compared"


def test_layers_that_are_kept_unpacked_are_told_of() -> None:
    unpacked = replace(image(SOURCE, title="model in a container"), open=None)
    lines = list(told(compare(unpacked, image(OTHER)), ("the image", "rebuilt")))
    assert lines[-1].startswith("model in a container has its layers unpacked")


def test_a_runtime_that_keeps_a_part_of_the_configuration_is_compared_by_that() -> None:
    whole = image(BASE, User="x")
    part = replace(whole, id="sha256:manifest", config={"config": {"User": "y"}})
    found = compare(part, whole)
    assert [one.name for one in found.settings] == ["config.User"]


def test_diffoscope_is_asked_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "diffoscope"
    program.write_text('#!/bin/sh\nshift 2\necho "-$(cat "$1")"\necho "+$(cat "$2")"\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = compare(image(SOURCE), image(OTHER))
    assert found.detail
    assert found.detail.report == "-a = 1\n+a = 2\n"
    assert list(told(found, ("old", "new")))[-1] == "  +a = 2"


def test_layers_have_the_names_that_one_of_them_knows() -> None:
    named = replace(image(BASE), layers=(Layer(image(BASE).layers[0].diff_id, 1, "base"),))
    assert [pair.name for pair in compare(image(BASE), named).layers] == ["base"]
