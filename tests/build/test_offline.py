"""What a build without the network asks of a lock."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cog_nix.build.offline import NoSeedError, check_offline
from cog_nix.build.services import Services
from cog_nix.config.model import Build, Config, Project, Settings
from cog_nix.lock import format as lock_format
from cog_nix.plugins.manager import load
from cog_nix.report import SilentReporter
from cog_nix.resolve.ensure import Policy
from cog_nix.resolve.inputs import digest
from cog_nix.resolve.request import Request
from cog_nix.store.nix import discover
from cog_nix.system.platforms import ARM64, BUILDER
from tests.lock.conftest import make_lock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.nix
def test_a_lock_that_was_never_built_on_such_a_machine(tmp_path: Path) -> None:
    project = Project(tmp_path, tmp_path / "cog.yaml")
    config = Config(build=Build(python_version="3.13"))
    elsewhere = replace(make_lock().seed, platform="" if BUILDER == ARM64 else "linux/arm64")
    made = make_lock(inputs=digest(config, Settings(), tmp_path), seed=elsewhere)
    lock_format.write(made, project.lock_path)
    services = Services(load(), SilentReporter(), tmp_path / "cache")
    with pytest.raises(NoSeedError) as caught:
        check_offline(Request(project, config, Settings()), Policy(), services, discover())
    assert caught.value.shown() == (
        f"--offline: cog-nix.lock has no Python for builders on {BUILDER}.\n\n"
        "Run cog-nix build here once with the network: the lock then has it."
    )
