"""The command line, run in this process."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from cog_nix.cli.app import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def cog_nix(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs a command in a folder where no other program can be found."""

    def command(folder: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        for name in (name for name in os.environ if name.startswith(("COG_", "XDG_"))):
            monkeypatch.delenv(name)
        for name, value in {"PATH": str(folder / "nothing"), "HOME": str(folder), **extra}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        status = run(arguments)
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return command
