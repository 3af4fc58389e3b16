"""hello-world for two platforms: locked and built once, for all that is asked of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cog_nix.namespaces import emulation
from cog_nix.namespaces.emulation import NoEmulatorError
from cog_nix.system.platforms import ARM64
from conftest import EXAMPLES, cog_nix, copy_project
from tests.registry.conftest import start_registry  # noqa: F401 - a fixture

_REGISTRATION = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
_BINFMT = Path("/proc/sys/fs/binfmt_misc/register")
_SETTINGS = '[image]\nplatforms = ["linux/amd64", "linux/arm64"]\n'


@pytest.fixture(scope="session")
def emulator() -> None:
    """Have the kernel run programs for linux/arm64.

    Debian's package registers qemu through systemd or binfmt-support; a container for tests has neither.
    """
    if os.geteuid() == 0 and _BINFMT.exists() and not _BINFMT.with_name("qemu-aarch64").exists():
        _BINFMT.write_bytes(_REGISTRATION.read_bytes())
    try:
        emulation.check(ARM64)
    except NoEmulatorError as error:
        pytest.skip(error.shown())  # only this kernel's administrator can have it


@pytest.fixture(scope="session")
def hello(emulator: None, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 - it is registered
    """Return a copy of hello-world that was locked for both, and built for linux/arm64."""
    copy = copy_project(EXAMPLES / "hello-world", tmp_path_factory.mktemp("project") / "two-platforms")
    (copy / "cog-nix.toml").write_text(_SETTINGS)
    cog_nix("lock", cwd=copy)
    cog_nix("build", "--no-load", "--platform", "linux/arm64", cwd=copy)
    return copy
