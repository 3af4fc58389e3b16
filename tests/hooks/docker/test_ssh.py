"""Docker behind SSH: what is started, and what is said when it does not work. With a server: test_deltas."""

from __future__ import annotations

from pathlib import Path

import pytest

from cog_nix.errors import RuntimeFailure
from cog_nix_hooks.docker.endpoint import Endpoint
from cog_nix_hooks.docker.engine import Engine
from cog_nix_hooks.docker.ssh import ssh_command


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("ssh://box", ["--", "box"]),
        ("ssh://me@box:2222", ["-l", "me", "-p", "2222", "--", "box"]),
        ("ssh://-oProxyCommand=evil", ["--", "-oproxycommand=evil"]),
    ],
)
def test_the_command(host: str, options: list[str]) -> None:
    command = ssh_command(host, Path("/session"))
    assert command[:2] == ["ssh", "-T"]
    assert command[-len(options) - 3 :] == [*options, "docker", "system", "dial-stdio"]


def test_a_machine_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\nexit 255\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeFailure, match=r"Docker does not answer at ssh://refusing\.example: "):
        Engine(Endpoint("ssh://refusing.example")).ping()


def test_without_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeFailure) as caught:
        Engine(Endpoint("ssh://missing.example"))
    assert "ssh" in caught.value.message
