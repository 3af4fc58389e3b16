"""What of an image is worth sharing with others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from cog_nix.build.options import Built
from cog_nix.build.pull import shareable
from cog_nix.config.model import Project
from cog_nix.lock import format as lock_format
from tests.image.outside import described
from tests.lock.conftest import make_lock

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.store.nix import Nix


@pytest.mark.parametrize("name", ["weights", "files"])
def test_no_list_of_the_projects_own_files_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "project"
    root.mkdir()
    (root / "customers.csv").write_text("ours")
    image = described(root, tmp_path / "store", name, below=({"lib": b"lib"},))
    project = Project(root, root / "cog.yaml")
    lock_format.write(make_lock(), project.lock_path)
    everything_is_here = cast("Nix", SimpleNamespace(invalid=lambda _: []))
    found = shareable(project, Built(image, "tag", "", gpu=False), everything_is_here, downloads=False)
    below, own = image.layers
    (part,) = own.parts[1:]
    assert part.path not in found
    assert {"/".join(one.path.split("/")[:4]) for one in below.parts} <= set(found)
