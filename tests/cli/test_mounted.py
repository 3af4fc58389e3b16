"""``exec`` and ``serve`` as users run them, and the parts of them that need no image."""

from __future__ import annotations

import os
import re
import socket
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import httpx
import pytest

from cog_nix.cli import exec as exec_command
from cog_nix.cli import serve
from cog_nix.cli.app import run
from cog_nix.cli.building import LoadedImage
from cog_nix.config.model import Project
from cog_nix.errors import CogNixError
from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "cog_nix", "-q"]
PATHS = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("8000", ("127.0.0.1", 8000, 8000)),
        ("0.0.0.0:80", ("0.0.0.0", 80, 80)),  # noqa: S104 - a value, nothing is bound
        ("::1:80", ("::1", 80, 80)),
        ("[::1]:65535", ("::1", 65535, 65535)),
    ],
)
def test_ports(text: str, port: tuple[str, int, int]) -> None:
    assert exec_command.parse_port(text) == port


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "value cannot be empty"),
        ("[::1", "missing closing bracket for IPv6 address"),
        ("[::1]", "port is required after IPv6 address"),
        ("[::1]80", "expected ':' after ']'"),
        ("[]:80", "host cannot be empty"),
        (":80", "host cannot be empty"),
        ("web", "is not a number"),
        ("0", "port must be between 1 and 65535"),
        ("65536", "port must be between 1 and 65535"),
    ],
)
def test_what_is_no_port(text: str, why: str) -> None:
    with pytest.raises(CogNixError, match=f'invalid port "{text}": .*{why}'.replace("[", r"\[")):
        exec_command.parse_port(text)


@pytest.mark.parametrize(
    ("host", "shown", "reached"),
    [
        ("127.0.0.1", "http://localhost:1", "http://127.0.0.1:1"),
        ("::1", "http://localhost:1", "http://[::1]:1"),
        ("0.0.0.0", "http://0.0.0.0:1 (http://localhost:1)", "http://127.0.0.1:1"),  # noqa: S104 - as above
        ("192.0.2.1", "http://192.0.2.1:1", "http://192.0.2.1:1"),
        ("2001:db8::1", "http://[2001:db8::1]:1", "http://[2001:db8::1]:1"),
    ],
)
def test_where_it_is_served(host: str, shown: str, reached: str) -> None:
    assert (serve.serving_at(host, 1), serve.target(host, 1)) == (shown, reached)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["exec", "-p", "web", "ls"], 'invalid port "web"'),
        (["serve", "--host", "everywhere"], "--host everywhere: this is not an IP address."),
        (["exec", "--dockerfile", "x", "ls"], "cog-nix builds without a Dockerfile"),
    ],
    ids=["port", "host", "dockerfile"],
)
def test_what_is_wrong_is_told_before_anything_is_built(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for command in (exec_command, serve):
        monkeypatch.setattr(command, "usable_runtime", lambda _: pytest.fail("too late"))
    assert run(arguments) == 1
    assert said in capfd.readouterr().err


def test_a_playground_listens_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "usable_runtime", lambda _: pytest.fail("too late"))
    assert run(["serve", "--playground", "--playground-port", "8393"]) == 1
    assert "playground port 8393 must differ from the model port 8393" in capfd.readouterr().err
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # noqa: S104 - where the playground listens
        taken.listen()
        assert run(["serve", "--playground", "--playground-port", str(taken.getsockname()[1])]) == 1
    assert "Address already in use" in capfd.readouterr().err
    docker = SimpleNamespace(name="docker", title="Docker", shares_network=False)
    monkeypatch.setattr(serve, "usable_runtime", lambda _: docker)
    image = LoadedImage("model", "{}", has_gpu=False, project=Project(tmp_path, tmp_path / "cog.yaml"))
    monkeypatch.setattr(serve, "build_and_load", lambda *_, **__: image)
    seen: list[object] = []

    def served(*_: object) -> int:
        [url] = re.findall(r"^Playground at (\S+)/$", capfd.readouterr().err, re.MULTILINE)
        seen.append(httpx.get(f"{url}/config", trust_env=False).json()["target"])
        return 0

    monkeypatch.setattr(serve, "_run", served)
    assert run(["serve", "--playground", "--playground-port", "0", "-p", "81"]) == 0
    assert seen == ["http://127.0.0.1:81"]


@pytest.mark.parametrize(
    ("words", "open_to_others"),
    [
        pytest.param(["sh", "-c", "cd x && python -m cog.server.http"], True, id="shell"),
        pytest.param(["sh", "-c", "python -m cog.server.http --host 127.0.0.1"], False, id="shell-with-host"),
        pytest.param(["python", "-m", "cog.server.http"], False, id="no-shell"),
        pytest.param(["python", "train.py"], False, id="no-server"),
    ],
)
def test_a_server_that_only_a_shell_knows_of(words: list[str], *, open_to_others: bool) -> None:
    assert exec_command.in_a_shell(words) == open_to_others
