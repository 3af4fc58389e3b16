"""The size of a container's terminal."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from cog_nix.plugins.spec import ContainerRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix_hooks.docker.runtime import DockerRuntime

pytestmark = pytest.mark.docker


def test_it_is_there_before_the_command_looks(
    runtime: DockerRuntime, shell_image: str, leftovers: Callable[[], list[str]]
) -> None:
    # Daemons before API 1.42 give a size right after the start, so that the command has to look twice.
    script = "while size=$(stty size); test \"$size\" = '0 0'; do :; done; echo size $size; sleep 60"
    request = ContainerRequest(
        shell_image, command=("sh", "-c", script), interactive=True, stdin=True, tty=True, size=(33, 77)
    )
    with runtime.start(request) as container:
        [name] = leftovers()
        found = subprocess.run(["docker", "inspect", name], capture_output=True, check=True).stdout
        assert json.loads(found)[0]["HostConfig"]["ConsoleSize"] == [33, 77]
        while "size" not in container.logs():
            assert container.alive(), container.logs()
            time.sleep(0.05)
        assert "size 33 77" in container.logs()
