"""Which platform a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.cli import platforms
from cog_nix.errors import FlagError
from cog_nix.system.platforms import AMD64, ARM64, Platform

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("settings", "given", "host", "expected"),
    [
        ("", None, AMD64, AMD64),
        ("", None, ARM64, AMD64),
        ("", "arm64", AMD64, ARM64),
        ('[image]\nplatforms = ["linux/arm64"]\n', None, AMD64, ARM64),
        ('[image]\nplatforms = ["linux/arm64", "linux/amd64"]\n', None, AMD64, AMD64),
        ('[image]\nplatforms = ["linux/arm64", "linux/amd64"]\n', None, ARM64, ARM64),
        ('[image]\nplatforms = ["linux/arm64", "linux/amd64"]\n', None, None, ARM64),
        ('[image]\nplatforms = ["linux/amd64"]\n', "linux/aarch64", AMD64, ARM64),
    ],
)
def test_of_those_of_the_project_this_machines(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    settings: str,
    given: str | None,
    host: Platform | None,
    expected: Platform,
) -> None:
    (tmp_path / "cog.yaml").write_text("build:\n  python_version: '3.13'\n")
    (tmp_path / "cog-nix.toml").write_text(settings)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platforms, "host_platform", lambda: host)
    project = platforms.project_here("cog.yaml", given)
    assert project.platform == expected
    apart = project.state_dir != project.shared_state_dir
    assert apart is (expected != AMD64)


def test_there_is_no_such_platform() -> None:
    with pytest.raises(FlagError, match="--platform linux/s390x: images can be made for linux/amd64 and"):
        platforms.parsed("linux/s390x")
