"""An index of the images of several platforms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cog_nix.registry import layout, pull
from cog_nix.registry.credentials import Credentials
from cog_nix.registry.destination import Destination
from cog_nix.registry.push import push_index
from cog_nix.registry.reference import Reference
from cog_nix.report import SilentReporter
from cog_nix.system.platforms import AMD64, ARM64, Platform
from tests.registry.pushing import push

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.registry.conftest import Faulty


@pytest.mark.parametrize("bundle", [False, True])
def test_each_is_found_under_one_name(
    faulty: Faulty,
    make_layout: Callable[..., Path],
    tmp_path: Path,
    *,
    bundle: bool,
) -> None:
    reference = Reference.parse(f"{faulty.host}/me/model:v1")
    destination = Destination(str(reference), reference, bundle=bundle)
    pushed = [
        (
            push(
                layout.read(
                    make_layout(b"common", platform.name.encode(), architecture=platform.architecture)
                ),
                destination,
                Credentials(),
                cache=tmp_path,
                reporter=SilentReporter(),
                platform=platform,
                alone=False,
            ),
            platform,
        )
        for platform in (AMD64, ARM64)
    ]
    named = [line for line in faulty.log if line.startswith("PUT ") and "/manifests/" in line]
    assert all("/manifests/sha256:" in line for line in named)  # no name until all are there
    found = push_index(pushed, destination, Credentials())
    index = json.loads(faulty.manifests["me/model:v1"])
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["amd64", "arm64"]
    assert [one["digest"] for one in index["manifests"]] == [
        one.image.rpartition("@")[2] for one, _ in pushed
    ]
    assert found.total("uploaded")[0] == len(found.blobs)  # the common layer once
    assert found.model == (found.image if bundle else "")

    def diff_ids(platform: Platform) -> list[str]:
        return [diff_id for diff_id, _ in pull.find(reference, Credentials(), platform=platform).layers]

    first, second = map(diff_ids, (AMD64, ARM64))
    assert first[0] == second[0]
    assert first[1] != second[1]
