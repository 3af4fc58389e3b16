"""``cog-nix login``: keep credentials for a registry where Docker keeps them."""

from __future__ import annotations

import getpass
import os
import sys
import webbrowser
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.streams import write_stderr
from cog_nix.errors import CogNixError
from cog_nix.registry import credentials, reference, replicate
from cog_nix.registry.destination import REPLICATE

if TYPE_CHECKING:
    from cog_nix.cli.session import Session

_ASKED_FOR = "Type both when they are asked for, or hand them in as two lines on stdin."


@dataclass(frozen=True, kw_only=True)
class _Options:
    registry: Annotated[
        str | None,
        typer.Argument(help="A registry. [default: COG_REGISTRY_HOST, or Replicate's]"),
    ] = None
    token_stdin: Annotated[
        bool,
        typer.Option("--token-stdin", help="Read the login token from stdin instead of opening a browser."),
    ] = False


def login(session: Session, options: _Options) -> None:
    """Ask for credentials and keep them.

    Raises:
        CogNixError: they are wrong or cannot be kept.
    """
    host = options.registry or os.environ.get("COG_REGISTRY_HOST") or REPLICATE
    if host == REPLICATE:
        _replicate(session, host, token_stdin=options.token_stdin)
    else:
        _any_other(session, host)


def _replicate(session: Session, host: str, *, token_stdin: bool) -> None:
    base = f"https://{host}"
    token = (sys.stdin.read() if token_stdin else _paste_token(base, host)).strip()
    replicate.check(token)
    user = replicate.username(base, token)
    where = credentials.store(host, user, token)
    session.reporter.log(f"kept in {where}")
    session.reporter.info(
        f"You've successfully authenticated as {user}! You can now use the {host} registry."
    )


def _paste_token(base: str, host: str) -> str:
    page = replicate.token_page(base)
    write_stderr(
        f"This command will authenticate Docker with Replicate's '{host}' Docker registry. "
        "You will need a Replicate account.\n\n"
        "Hit enter to get started. A browser will open with an authentication token that you need to paste "
        "here.\n"
    )
    sys.stdin.readline()
    write_stderr(f"If it didn't open automatically, open this URL in a web browser:\n{page}\n")
    with suppress(webbrowser.Error):
        webbrowser.open(page)
    write_stderr(
        "\nOnce you've signed in, copy the token from that web page, paste it here, then hit enter:\n\n"
    )
    return _hidden("Token: ")


def _any_other(session: Session, host: str) -> None:
    write_stderr(f"Logging in to {host}\n\n")
    user = _shown("Username: ").strip()
    if not user:
        raise CogNixError("username cannot be empty", hint=_ASKED_FOR)
    password = _hidden("Password: ")
    if not password:
        raise CogNixError("password cannot be empty", hint=_ASKED_FOR)
    name = reference.DOCKER_HUB if host == "docker.io" else host
    where = credentials.store(name, user, password)
    session.reporter.log(f"kept in {where}")
    session.reporter.info(f"Login succeeded for {host}")


def _shown(prompt: str) -> str:
    write_stderr(prompt)
    return sys.stdin.readline()


def _hidden(prompt: str) -> str:
    """Ask without an echo; from a pipe take the next line."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return _shown(prompt).rstrip("\r\n")
