"""Credentials for registries, where Docker keeps them: its config.json and credential helpers.

The file is described in Docker's documentation of ``docker login`` ("Credential stores"), the helpers'
protocol in docker-credential-helpers: ``docker-credential-NAME get`` reads a server's name from stdin and
writes ``{"ServerURL", "Username", "Secret"}``; ``store`` reads such an object.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.errors import ConfigError
from cog_nix.registry.destination import REPLICATE
from cog_nix.registry.reference import DOCKER_HUB
from cog_nix.system import jsonvalue
from cog_nix.system.files import write_atomically
from cog_nix.system.processes import ProcessError, redact, run

if TYPE_CHECKING:
    from collections.abc import Mapping

_HUB_KEY = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"  # noqa: S105 - what helpers say instead of a user's name
_NOT_FOUND = "credentials not found"


class CredentialsError(ConfigError):
    """What Docker's tools keep of logins cannot be used.

    Args:
        where: the configuration file or the helper's program.
        problem: what is wrong with it; never what it holds.
        hint: what to do next.
    """

    def __init__(self, where: object, problem: str, *, hint: str) -> None:
        super().__init__(hint=hint)
        self.where, self.problem = str(where), problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


@dataclass(frozen=True)
class Credentials:
    """What a registry is told. All empty: nobody in particular."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """An OAuth 2 refresh token."""
    registry_token: str = field(default="", repr=False)
    """Sent as it is, as a bearer token."""

    def __bool__(self) -> bool:
        return bool(self.password or self.identity_token or self.registry_token)


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where Docker's config.json is, or would be."""
    folder = environment.get("DOCKER_CONFIG") or Path(environment.get("HOME", "/")) / ".docker"
    return Path(folder) / "config.json"


def of_registry(registry: str, environment: Mapping[str, str] = os.environ) -> Credentials:
    """Return what :func:`find` finds; for a mirror of Replicate's registry, what there is for that."""
    found = find(registry, environment)
    if not found and registry == environment.get("COG_REGISTRY_HOST"):
        # Upstream has it so: whoever runs a mirror of Replicate's registry knows its users.
        return find(REPLICATE, environment)
    return found


def find(registry: str, environment: Mapping[str, str] = os.environ) -> Credentials:
    """Return the credentials for a registry, empty when there are none.

    The registry's own helper (``credHelpers``) counts first, then the store of all (``credsStore``), then
    ``auths``.

    Raises:
        ConfigError: config.json cannot be read, or a helper fails.
    """
    config = _read(config_path(environment))
    for key in _keys(registry):
        helper = jsonvalue.members(config.get("credHelpers")).get(key) or config.get("credsStore")
        found = _request(helper, key, environment) if helper else None
        if found:
            return found
    entries = jsonvalue.members(config.get("auths"))
    for key in _keys(registry):
        if isinstance(entry := entries.get(key), dict) and (found := _entry(entry, config_path(environment))):
            return found
    return Credentials()


def store(registry: str, username: str, password: str, environment: Mapping[str, str] = os.environ) -> str:
    """Keep credentials as ``docker login`` does; return where they are now, in a word for people.

    Raises:
        ConfigError: config.json cannot be read, or the helper fails.
        CogNixError: config.json cannot be written.
    """
    path = config_path(environment)
    config = _read(path)
    key = _keys(registry)[0]
    helper = jsonvalue.members(config.get("credHelpers")).get(key) or config.get("credsStore")
    if helper:
        said = json.dumps({"ServerURL": key, "Username": username, "Secret": password})
        _helper(helper, "store", said, environment, secret=password)
        return f"docker-credential-{helper}"
    encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
    auths = {**jsonvalue.members(config.get("auths")), key: {"auth": encoded}}
    # A link to a file that is kept elsewhere stays a link.
    real = Path(os.path.realpath(path))
    real.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(real, (json.dumps({**config, "auths": auths}, indent="\t") + "\n").encode(), mode=0o600)
    return str(path)


def _keys(registry: str) -> list[str]:
    """Return what a registry is called in config.json, the usual name first."""
    if registry == DOCKER_HUB:
        return [_HUB_KEY, DOCKER_HUB, "docker.io", "registry-1.docker.io"]
    return [
        registry,
        f"https://{registry}",
        f"http://{registry}",
        f"https://{registry}/v1/",
        f"https://{registry}/v2/",
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        value = jsonvalue.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        hint = "Fix it, or name the folder of another one in DOCKER_CONFIG."
        raise CredentialsError(path, f"cannot be read: {_why(error)}", hint=hint) from error
    if not isinstance(value, dict):
        raise CredentialsError(path, "this is not a JSON object", hint="Fix it, or remove it.")
    return value


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "it cannot be opened"
    # A decoder's own message would show the text, which may hold a password.
    return f"line {error.lineno} is not JSON" if isinstance(error, json.JSONDecodeError) else "it is not text"


def _entry(entry: dict[str, Any], path: Path) -> Credentials:
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if encoded := entry.get("auth"):
        try:
            user, _, password = base64.b64decode(str(encoded)).decode().partition(":")
        except ValueError as error:
            raise CredentialsError(
                path, "an entry of auths is not base64 text", hint="Log in again."
            ) from error
    return Credentials(
        user,
        password.rstrip("\0"),
        str(entry.get("identitytoken") or ""),
        str(entry.get("registrytoken") or ""),
    )


def _request(helper: str, key: str, environment: Mapping[str, str]) -> Credentials | None:
    said = _helper(helper, "get", key, environment)
    if said is None:
        return None
    try:
        answer = jsonvalue.loads(said)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        hint = "Log in again, or take it out of Docker's config.json."
        raise CredentialsError(
            f"docker-credential-{helper}", f"answered something other than credentials for {key}", hint=hint
        ) from error
    return Credentials(identity_token=secret) if user == _TOKEN_USER else Credentials(user, secret)


def _helper(
    helper: str, action: str, said: str, environment: Mapping[str, str], secret: str = ""
) -> str | None:
    """Run a helper; return what it says, or None when it has nothing."""
    program = f"docker-credential-{helper}"
    try:
        finished = run([program, action], stdin=said, env=environment, check=False, secrets=[secret])
    except ProcessError as error:
        raise ConfigError(str(error), hint=f"Install {program}, or name another helper.") from error
    if finished.returncode == 0:
        return finished.stdout
    # Helpers write their errors to stdout.
    said = (finished.stdout + finished.stderr).strip()
    if action == "get" and _NOT_FOUND in said:
        return None
    raise CredentialsError(
        program,
        f"{action} failed: {redact(said, [secret]) or f'exit status {finished.returncode}'}",
        hint="Unlock it, or take it out of Docker's config.json.",
    )
