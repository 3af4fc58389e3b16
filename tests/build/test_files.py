"""Files from the store of weights on their way into an image."""

from __future__ import annotations

import pytest

from cog_nix.build.files import TakenPlaceError, check_places
from cog_nix.lock.model import ReferencedFile

INCLUDED = {"unet", "unet/config.json", "run.py"}


def placed(to: str) -> list[dict[str, str]]:
    return [{"to": to}]


def referenced(path: str, *, mount: bool = False) -> list[ReferencedFile]:
    return [ReferencedFile(path, "https://example.org/a", "0" * 64, 1, mount=mount)]


def test_places_of_their_own() -> None:
    check_places(placed("/src/unet/model.bin"), referenced("/opt/run.py"), INCLUDED)
    check_places([], referenced("run.py"), INCLUDED)  # which is the file itself
    check_places([], referenced("/src/run.py", mount=True), INCLUDED)


def test_a_place_that_the_project_has_taken() -> None:
    with pytest.raises(TakenPlaceError, match="would be in the image twice") as caught:
        check_places(placed("/src/unet/config.json"), [], INCLUDED)
    assert caught.value.hint == "Add unet/config.json to .dockerignore, or remove it."
    with pytest.raises(TakenPlaceError):
        check_places([], referenced("/src/run.py"), INCLUDED)
