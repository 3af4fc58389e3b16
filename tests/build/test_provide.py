"""What the garbage collector takes between providing and building is provided again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.build import provide
from cog_nix.errors import NixError

if TYPE_CHECKING:
    from pathlib import Path

_PATH = "/nix/store/00000000000000000000000000000000-seed"


class _Nix:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def real(self, path: str) -> Path:
        return self._folder / path.rpartition("/")[2]


@pytest.fixture
def nix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = _Nix(tmp_path)
    monkeypatch.setattr(provide, "paths_of", lambda _lock: [_PATH])
    monkeypatch.setattr(provide, "provide", lambda *_: made.real(_PATH).touch())
    return made


def test_what_was_collected_is_provided_again(nix: Any) -> None:
    tries: list[bool] = []

    def step() -> str:
        tries.append(nix.real(_PATH).exists())
        if len(tries) == 1:
            nix.real(_PATH).unlink()
            raise NixError("path is not valid")
        return "built"

    project: Any = None
    assert provide.provided(project, nix, project, project, step) == "built"
    assert tries == [True, True]


def test_other_failures_are_not_tried_again(nix: Any) -> None:
    tries: list[int] = []

    def step() -> None:
        tries.append(1)
        raise NixError("a builder failed")

    project: Any = None
    with pytest.raises(NixError, match="a builder failed"):
        provide.provided(project, nix, project, project, step)
    assert tries == [1]
