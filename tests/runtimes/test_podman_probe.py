"""A Podman that is installed and cannot start a container is none to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix_hooks.docker import podman_probe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a Podman that does this on the PATH; return the file that it writes its arguments to."""

    def make(does: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program, asked = folder / "podman", tmp_path / "asked"
        program.write_text(f'#!/bin/sh\necho "$@" >> "{asked}"\n{does}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return asked

    return make


def test_what_it_says_is_told_and_it_is_tried_again(podman: Callable[[str], Path], tmp_path: Path) -> None:
    asked = podman("echo 'a line before' >&2; echo 'Error: crun: setrlimit: not permitted' >&2; exit 126")
    cache = tmp_path / "cache"
    for _ in range(2):
        assert podman_probe.failure(cache) == (
            "Podman is installed and starts no container: crun: setrlimit: not permitted"
        )
    assert len(asked.read_text().splitlines()) == 2
    assert list(cache.iterdir()) == []


def test_one_that_works_is_tried_once(podman: Callable[[str], Path], tmp_path: Path) -> None:
    # What it is handed is a root file system with a program that runs anywhere.
    asked = podman('for last; do :; done; while [ "$1" != --rootfs ]; do shift; done; exec "$2$last"')
    for _ in range(2):
        assert podman_probe.failure(tmp_path / "cache") is None
    [once] = asked.read_text().splitlines()
    assert once.startswith("run --rm ")
    podman("exit 1")
    assert podman_probe.failure(tmp_path / "cache")
