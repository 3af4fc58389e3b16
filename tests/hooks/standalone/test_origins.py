"""A build whose URL is dead is looked for at the mirror that is configured now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cog_nix.config.model import PythonSettings, Settings
from cog_nix.lock.model import Artifact
from cog_nix.plugins.spec import Context
from cog_nix.report import SilentReporter
from cog_nix_hooks.standalone import origins_of

if TYPE_CHECKING:
    import pytest

BUILD = "cpython-3.12.9+20250317-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
URL = f"https://gone.example.org/releases/download/20250317/{BUILD}"
MIRROR = "https://mirror.example.org/pythons"


def places(filename: str, url: str, mirror: str | None) -> list[str]:
    fetcher: Any = None
    context = Context(Settings(python=PythonSettings(mirror=mirror)), fetcher, SilentReporter(), fetcher)
    found = origins_of([Artifact(filename, url, "a" * 64, 3)], context)
    return [one.url for one in found.get("a" * 64, ())]


def test_the_mirror_of_the_settings_comes_before_uvs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", "https://uv.example.org/pythons/")
    assert places(BUILD, URL, MIRROR) == [f"{MIRROR}/20250317/{BUILD}"]
    assert places(BUILD, URL, None) == [f"https://uv.example.org/pythons/20250317/{BUILD}"]


def test_other_files_and_no_mirror_name_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_PYTHON_INSTALL_MIRROR", raising=False)
    assert places(BUILD, URL, None) == []
    assert places("a-1-py3-none-any.whl", "https://gone.example.org/a-1-py3-none-any.whl", MIRROR) == []
