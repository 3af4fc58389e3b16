"""``cog-nix login``: keep credentials for a registry where Docker keeps them."""

from __future__ import annotations

import getpass
import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from cog_nix.cli.terminal import complain, reporter
from cog_nix.errors import CogNixError

Registry = Annotated[
    str | None,
    typer.Argument(show_default=False, help="A registry. [default: COG_REGISTRY_HOST, or Replicate's]"),
]
TokenStdin = Annotated[
    bool, typer.Option("--token-stdin", help="Read the login token from stdin instead of opening a browser.")
]


def register(app: typer.Typer) -> None:
    """Add ``login`` to the command line."""
    app.command("login", help="Log in to a container registry.")(login)


def login(*, registry: Registry = None, token_stdin: TokenStdin = False) -> None:
    """Ask for credentials and keep them.

    Raises:
        CogNixError: they are wrong or cannot be kept.
    """
    from cog_nix.registry.destination import REPLICATE  # noqa: PLC0415 - a faster --help

    host = registry or os.environ.get("COG_REGISTRY_HOST") or REPLICATE
    if host == REPLICATE:
        _replicate(host, token_stdin=token_stdin)
    else:
        _any_other(host)


def _replicate(host: str, *, token_stdin: bool) -> None:
    from cog_nix.registry import credentials, replicate  # noqa: PLC0415 - a faster --help

    base = f"https://{host}"
    token = (sys.stdin.read() if token_stdin else _paste_token(base, host)).strip()
    replicate.check(token)
    user = replicate.username(base, token)
    where = credentials.store(host, user, token)
    reporter.log(f"kept in {where}")
    reporter.info(f"You've successfully authenticated as {user}! You can now use the {host} registry.")


def _paste_token(base: str, host: str) -> str:
    import webbrowser  # noqa: PLC0415 - only people who log in need it

    from cog_nix.registry import replicate  # noqa: PLC0415 - a faster --help

    page = replicate.token_page(base)
    complain(
        f"This command will authenticate Docker with Replicate's '{host}' Docker registry. "
        "You will need a Replicate account.\n\n"
        "Hit enter to get started. A browser will open with an authentication token that you need to paste "
        "here."
    )
    sys.stdin.readline()
    complain(f"If it didn't open automatically, open this URL in a web browser:\n{page}")
    with suppress(webbrowser.Error):
        webbrowser.open(page)
    complain("\nOnce you've signed in, copy the token from that web page, paste it here, then hit enter:\n")
    return _hidden("Token: ")


def _any_other(host: str) -> None:
    from cog_nix.registry import credentials, reference  # noqa: PLC0415 - a faster --help

    complain(f"Logging in to {host}\n")
    user = _shown("Username: ").strip()
    if not user:
        raise CogNixError("username cannot be empty", hint="Run this again.")
    password = _hidden("Password: ")
    if not password:
        raise CogNixError("password cannot be empty", hint="Run this again.")
    name = reference.DOCKER_HUB if host == "docker.io" else host
    where = credentials.store(name, user, password)
    reporter.log(f"kept in {where}")
    reporter.info(f"Login succeeded for {host}")


def _shown(prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return sys.stdin.readline()


def _hidden(prompt: str) -> str:
    """Ask without an echo; from a pipe take the next line."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return _shown(prompt).rstrip("\r\n")
