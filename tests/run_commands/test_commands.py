"""What the text of a command means."""

from __future__ import annotations

import pytest

from cog_nix.config import commands
from cog_nix.config.commands import Place
from cog_nix.config.model import Build, Mount, RunCommand
from cog_nix.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "command", "places"),
    [
        pytest.param("  pip install x ", "pip install x", (), id="plain"),
        pytest.param(
            "--mount=type=cache,target=/root/.cache/pip pip install x",
            "pip install x",
            (Place("empty", "/root/.cache/pip"),),
            id="cache",
        ),
        pytest.param(
            "--mount=type=tmpfs,dst=scratch --network=default make",
            "make",
            (Place("empty", "/scratch"),),
            id="tmpfs-and-a-relative-target",
        ),
        pytest.param(
            "--mount=type=secret,id=token cat",
            "cat",
            (Place("secret", "/run/secrets/token", id="token"),),
            id="secret-where-docker-puts-it",
        ),
        pytest.param(
            '--mount=type=secret,id=a,target="/root/.netrc",mode=0600,required x',
            "x",
            (Place("secret", "/root/.netrc", id="a", required=True, mode=0o600),),
            id="secret-with-everything",
        ),
        pytest.param(
            "--mount=type=secret,id=a,env=TOKEN x",
            "x",
            (Place("secret", "", id="a", env="TOKEN"),),
            id="secret-as-a-variable",
        ),
        pytest.param(
            "--mount=type=secret,target=/etc/pip.conf x",
            "x",
            (Place("secret", "/etc/pip.conf", id="pip.conf"),),
            id="secret-named-after-its-target",
        ),
        pytest.param("--version", "--version", (), id="no-value-no-flag"),
    ],
)
def test_what_stands_in_front_is_for_the_builder(text: str, command: str, places: tuple[Place, ...]) -> None:
    read = commands.parse(text)
    assert (read.command, read.places) == (command, places)
    assert read.argv == ("/bin/sh", "-c", command)


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        pytest.param('["pip", "install", "x y"]', ("/usr/bin/env", "--", "pip", "install", "x y"), id="exec"),
        pytest.param("[ -f /x ] && rm /x", ("/bin/sh", "-c", "[ -f /x ] && rm /x"), id="test-is-no-list"),
        pytest.param("[1]", ("/bin/sh", "-c", "[1]"), id="numbers-are-no-program"),
    ],
)
def test_a_list_is_a_program_and_its_arguments(command: str, argv: tuple[str, ...]) -> None:
    assert commands.parse(command).argv == argv


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a\nb", "contains a new line", id="new-line"),
        pytest.param("--mount=type=bind,source=x,target=/y make", "secret, cache and tmpfs", id="bind"),
        pytest.param("--mount=type=cache make", "each with a target", id="cache-without-target"),
        pytest.param("--mount=type=secret x", "needs an id", id="secret-without-id"),
        pytest.param("--network=none make", "with the network", id="no-network"),
        pytest.param("--security=insecure make", "in the sandbox", id="insecure"),
        pytest.param("--device=all make", "unknown flag", id="unknown"),
    ],
)
def test_what_cannot_be_done_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        commands.parse(text)
    assert caught.value.hint


def test_mappings_become_text_and_pre_install_comes_last() -> None:
    build = Build(
        run=(
            RunCommand("cat /run/secrets/a\n", (Mount("secret", "a", "/run/secrets/a"),)),
            RunCommand("make", (Mount("cache", "b", "/b"),)),
        ),
        pre_install=(" echo first ",),
    )
    assert commands.texts(build) == (
        "--mount=type=secret,id=a,target=/run/secrets/a cat /run/secrets/a",
        "make",
        "echo first",
    )
