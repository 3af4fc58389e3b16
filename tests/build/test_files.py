"""Files from the store of weights on their way into an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.build.files import LeftOutError, TakenPlaceError, check_places, placed_weights
from cog_nix.config.model import Config, Project
from cog_nix.errors import FlagError
from cog_nix.lock.model import ReferencedFile

if TYPE_CHECKING:
    from pathlib import Path

INCLUDED = {"unet", "unet/config.json", "run.py"}


def placed(to: str) -> list[dict[str, str]]:
    return [{"to": to}]


def referenced(path: str, *, mount: bool = False) -> list[ReferencedFile]:
    return [ReferencedFile(path, "https://example.org/a", "0" * 64, 1, mount=mount)]


def test_places_of_their_own() -> None:
    check_places(placed("/src/unet/model.bin"), referenced("/opt/run.py"), INCLUDED)
    check_places([], referenced("run.py"), INCLUDED)  # which is the file itself
    check_places([], referenced("/src/run.py", mount=True), INCLUDED)


def test_a_place_that_is_ignored() -> None:
    with pytest.raises(LeftOutError, match="would not be in the image") as caught:
        check_places([], referenced("model.bin"), INCLUDED)
    assert ".dockerignore" in caught.value.hint
    check_places([], referenced("model.bin", mount=True), INCLUDED)


def test_inside_needs_weights(tmp_path: Path) -> None:
    with pytest.raises(FlagError, match="--weights inside: there are no weights"):
        placed_weights(Project(tmp_path, tmp_path / "cog.yaml"), Config())


def test_a_place_that_the_project_has_taken() -> None:
    with pytest.raises(TakenPlaceError, match="would be in the image twice") as caught:
        check_places(placed("/src/unet/config.json"), [], INCLUDED)
    assert caught.value.hint == "Add unet/config.json to .dockerignore, or remove it."
    with pytest.raises(TakenPlaceError):
        check_places([], referenced("/src/run.py"), INCLUDED)
