"""``cog-nix playground``: a page for talking to a model's HTTP API."""

from __future__ import annotations

import signal
import webbrowser
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.playground import Playground, Settings

if TYPE_CHECKING:
    from cog_nix.cli.session import Session

_DEFAULT = Settings()


@dataclass(frozen=True, kw_only=True)
class _Options:
    host: Annotated[
        str, typer.Option("--host", help="Address to bind; 0.0.0.0 receives webhooks from containers.")
    ] = _DEFAULT.host
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="Port to listen on; 0 picks a free port.")
    ] = _DEFAULT.port
    target: Annotated[
        str, typer.Option("--target", help="URL of the model's API that the page begins with.")
    ] = _DEFAULT.target
    webhook_host: Annotated[
        str, typer.Option("--webhook-host", help="Name under which the model reaches this machine.")
    ] = _DEFAULT.webhook_host
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the browser.")] = False


def playground(session: Session, options: _Options) -> None:
    """Serve the page until Ctrl-C or SIGTERM, which are the ways to end it and no failures.

    Raises:
        ListenError: it cannot listen there.
    """
    settings = Settings(options.host, options.port, options.target, options.webhook_host)
    with Playground(settings) as running:
        session.reporter.info(f"Cog playground running at {running.url}")
        session.reporter.info("Press Ctrl+C to stop.")
        if not options.no_open:
            with suppress(webbrowser.Error):
                webbrowser.open(running.url)
        with suppress(KeyboardInterrupt, SystemExit):
            signal.pause()
