"""The application: all subcommands, the plugins' among them, and the one handler of errors."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cog_nix import __version__
from cog_nix.certificate import trust
from cog_nix.cli import build, check, config, lock, predict, runtimes, schema, train
from cog_nix.cli.arguments import normalize
from cog_nix.cli.terminal import complain, reporter
from cog_nix.errors import CogNixError
from cog_nix.paths import cache_dir
from cog_nix.plugins import AUTO, Plugins, ask, load

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

_UsageProblem: type[Any] = typer.BadParameter.__mro__[2]
"""click's ClickException: newer versions of typer carry click inside and do not export this class."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

_HELP = """Build Cog models into reproducible Docker images with Nix.

\b
  cog-nix build                        build the model in this folder, load it into Docker
  cog-nix predict -i text=world        build it and run one prediction
  cog-nix predict IMAGE -i img=@a.png  run a prediction on an image that exists
  cog-nix lock --upgrade numpy         move one pin
  cog-nix check IMAGE                  does an image keep Cog's promises?
  cog-nix schema                       the OpenAPI document of the model in this folder
  cog-nix config                       its cog.yaml, completed
"""


def _version(show: bool) -> None:  # noqa: FBT001 - typer calls it with the flag's value
    if show:
        typer.echo(f"cog-nix {__version__}")
        raise typer.Exit


def application(plugins: Plugins) -> typer.Typer:
    """Return the whole command line."""
    app = typer.Typer(
        name="cog-nix",
        help=_HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def options(
        ctx: typer.Context,  # noqa: ARG001 - subcommands find the flags through it
        *,
        verbose: Annotated[
            bool, typer.Option("--verbose", "-v", "--debug", help="Show what the tools underneath print.")
        ] = False,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show errors and results only.")] = False,
        runtime: runtimes.RuntimeName = AUTO,
        version: Annotated[  # noqa: ARG001 - the callback answers it
            bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
        ] = False,
    ) -> None:
        reporter.configure(verbose=verbose, quiet=quiet)
        runtimes.use(runtime)
        os.environ.update(trust(os.environ, cache_dir()))

    for command in (build, lock, predict, train, check, schema, config):
        command.register(app)
    ask(plugins, "register_commands", app=app)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run a command line.

    Args:
        arguments: without the program's name.

    Returns:
        The exit status.
    """
    status: Any = 0
    try:
        plugins = load()
        for name, reason in plugins.broken.items():
            complain(f"warning: the plugin {name} is left out: {reason}")
        build.use(plugins)
        status = application(plugins)(args=normalize(arguments), prog_name="cog-nix", standalone_mode=False)
    except CogNixError as error:
        complain(f"error: {error}")
        status = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except Exception as error:
        status = _explained(error)
        if status is None:
            raise
    if status == INTERRUPTED:  # typer turns most Ctrl-C into this status by itself
        complain("interrupted; run the same command again to carry on")
    return status if isinstance(status, int) else 0


def _explained(error: Exception) -> int | None:
    """Tell what is the user's to mend; return the exit status, or None for a bug."""
    if isinstance(error, _UsageProblem):
        error.show()
        return int(error.exit_code)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        complain(f"error: {error.filename or 'a file'} cannot be written: {error.strerror}")
        complain("\nFree some space, then run this again.")
        return 1
    return None
