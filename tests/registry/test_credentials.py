from __future__ import annotations

import base64
import json
import stat
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import CogNixError, ConfigError
from cog_nix.registry import credentials
from cog_nix.registry.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST = "registry.example.org:5000"
SECRET = "tr0ub4dor"  # noqa: S105 - of nothing
AUTH = base64.b64encode(f"ali:{SECRET}".encode()).decode()
_HELPER = """\
#!/bin/sh
read -r said
echo "$1 $said" >> {folder}/said
{answer}
"""


@pytest.fixture
def docker(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Return a function that writes config.json and helpers, and returns the environment that finds them."""

    def write(config: Any, **helpers: str) -> dict[str, str]:
        if config is not None:
            text = config if isinstance(config, str) else json.dumps(config)
            (tmp_path / "config.json").write_text(text)
        for name, answer in helpers.items():
            program = tmp_path / f"docker-credential-{name}"
            program.write_text(_HELPER.format(folder=tmp_path, answer=answer))
            program.chmod(0o755)
        return {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"}

    return write


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, Credentials()),
        ({}, Credentials()),
        ({"auths": {HOST: {}}}, Credentials()),
        ({"auths": {HOST: {"auth": AUTH}}}, Credentials("ali", SECRET)),
        ({"auths": {f"https://{HOST}": {"auth": AUTH}}}, Credentials("ali", SECRET)),
        ({"auths": {HOST: {"username": "ali", "password": SECRET}}}, Credentials("ali", SECRET)),
        ({"auths": {HOST: {"auth": AUTH, "identitytoken": "t"}}}, Credentials("ali", SECRET, "t")),
        ({"auths": {HOST: {"registrytoken": "t"}}}, Credentials(registry_token="t")),  # noqa: S106 - of nothing
    ],
    ids=["no file", "nothing", "empty", "auth", "https", "plain", "identity token", "registry token"],
)
def test_from_the_file(docker: Callable[..., dict[str, str]], config: Any, expected: Credentials) -> None:
    assert credentials.find(HOST, docker(config)) == expected


def test_docker_hubs_own_name(docker: Callable[..., dict[str, str]]) -> None:
    environment = docker({"auths": {"https://index.docker.io/v1/": {"auth": AUTH}}})
    assert credentials.find("index.docker.io", environment).username == "ali"


def test_a_registrys_own_helper_counts_first(docker: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    environment = docker(
        {"credHelpers": {HOST: "own"}, "credsStore": "all", "auths": {HOST: {"auth": AUTH}}},
        own=f'echo \'{{"ServerURL": "x", "Username": "own", "Secret": "{SECRET}"}}\'',
        all="exit 1",
    )
    assert credentials.find(HOST, environment) == Credentials("own", SECRET)
    assert (tmp_path / "said").read_text() == f"get {HOST}\n"


def test_a_helper_may_know_nothing(docker: Callable[..., dict[str, str]]) -> None:
    nothing = "echo 'credentials not found in native keychain'; exit 1"
    environment = docker({"credsStore": "all", "auths": {HOST: {"auth": AUTH}}}, all=nothing)
    assert credentials.find(HOST, environment) == Credentials("ali", SECRET)


def test_a_helpers_identity_token(docker: Callable[..., dict[str, str]]) -> None:
    environment = docker({"credsStore": "all"}, all='echo \'{"Username": "<token>", "Secret": "r"}\'')
    assert credentials.find(HOST, environment) == Credentials(identity_token="r")  # noqa: S106 - of nothing


@pytest.mark.parametrize(
    ("config", "helper", "words"),
    [
        (f'{{"auths": {SECRET}', "", "line 1 is not JSON"),
        ("[]", "", "not a JSON object"),
        ({"auths": {HOST: {"auth": f"{SECRET}!"}}}, "", "not base64"),
        ({"credsStore": "none"}, "", "docker-credential-none"),
        ({"credsStore": "all"}, "echo locked; exit 1", "docker-credential-all: get failed: locked"),
        ({"credsStore": "all"}, f"echo {SECRET}", "answered something other than credentials"),
    ],
    ids=["no JSON", "no object", "no base64", "no helper", "locked", "nonsense"],
)
def test_what_is_wrong_is_said_without_the_secret(
    docker: Callable[..., dict[str, str]], config: Any, helper: str, words: str
) -> None:
    environment = docker(config, **({"all": helper} if helper else {}))
    with pytest.raises(CogNixError) as caught:
        credentials.find(HOST, environment)
    assert words in caught.value.message
    assert caught.value.hint
    assert SECRET not in str(caught.value)


def test_credentials_are_not_shown() -> None:
    assert SECRET not in repr(Credentials("ali", SECRET, SECRET, SECRET))


def test_stored_as_docker_login_does(tmp_path: Path) -> None:
    environment = {"DOCKER_CONFIG": str(tmp_path / "new")}
    where = credentials.store(HOST, "ali", SECRET, environment)
    path = tmp_path / "new/config.json"
    assert where == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"auths": {HOST: {"auth": AUTH}}}
    assert credentials.find(HOST, environment) == Credentials("ali", SECRET)


def test_storing_keeps_what_else_is_there(docker: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    before = {"currentContext": "x", "auths": {"other.example.org": {"auth": AUTH}}}
    environment = docker(before)
    credentials.store("index.docker.io", "ali", SECRET, environment)
    found = json.loads((tmp_path / "config.json").read_text())
    assert found["currentContext"] == "x"
    assert set(found["auths"]) == {"other.example.org", "https://index.docker.io/v1/"}


def test_storing_leaves_a_link_a_link(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text("{}")
    (tmp_path / "docker").mkdir()
    link = tmp_path / "docker/config.json"
    link.symlink_to(tmp_path / "kept.json")
    credentials.store(HOST, "ali", SECRET, {"DOCKER_CONFIG": str(tmp_path / "docker")})
    assert link.is_symlink()
    assert AUTH in (tmp_path / "kept.json").read_text()


def test_stored_by_the_helper(docker: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    environment = docker({"credsStore": "all"}, all="exit 0")
    assert credentials.store(HOST, "ali", SECRET, environment) == "docker-credential-all"
    action, _, said = (tmp_path / "said").read_text().partition(" ")
    assert action == "store"
    assert json.loads(said) == {"ServerURL": HOST, "Username": "ali", "Secret": SECRET}
    assert SECRET not in (tmp_path / "config.json").read_text()


def test_a_helper_that_cannot_store(docker: Callable[..., dict[str, str]]) -> None:
    environment = docker({"credsStore": "all"}, all=f"echo no room for {SECRET}; exit 1")
    with pytest.raises(CogNixError, match=r"store failed: no room for \*\*\*"):
        credentials.store(HOST, "ali", SECRET, environment)
    with pytest.raises(ConfigError):
        credentials.store(HOST, "ali", SECRET, docker("nonsense"))
