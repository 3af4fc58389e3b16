"""The application: all subcommands, the plugins' among them, and the one handler of errors."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cog_nix import __version__
from cog_nix.cli import interrupts, upstream, usage
from cog_nix.cli.arguments import as_options, command_of, has_switch, normalize
from cog_nix.cli.commands import COMMANDS, CommandGroup, completion_variable, named
from cog_nix.cli.json_progress import SWITCH, JsonReporter
from cog_nix.cli.session import Session
from cog_nix.cli.streams import BROKEN_PIPE, flush_stdout
from cog_nix.cli.terminal import TerminalReporter
from cog_nix.errors import CogNixError
from cog_nix.plugins.manager import AUTO, Plugins
from cog_nix.plugins.manager import load as load_plugins
from cog_nix.plugins.spec import Invocation
from cog_nix.system import room
from cog_nix.system.certificate import trust
from cog_nix.system.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""
COG = "cog"
"""Name of the program as which the shim calls it."""

_UsageProblem: type[Any] = typer.BadParameter.__mro__[2]
"""click's ClickException: newer versions of typer carry click inside and do not export this class."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_SURROUNDINGS = {
    **dict.fromkeys(_NO_ROOM, "Free some space, then run this again."),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "Fix the permissions, then run this again."),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "Raise the limit of open files (ulimit -n)."),
    errno.ENAMETOOLONG: "Use shorter names, or a folder that is less deep.",
    errno.ELOOP: "Symbolic links lead in a circle there: change one of them.",
}
"""What the machine refuses, wherever that is noticed, and what to do then (errno(3))."""

_HELP = """Containers for machine learning: Cog models into reproducible Docker images, with Nix.

\b
  cog-nix build                        build the model in this folder, load it into Docker
  cog-nix init                         begin a model in this folder
  cog-nix run -i text=world            build it and run one prediction
  cog-nix run IMAGE -i img=@a.png      run a prediction on an image that exists
  cog-nix serve                        serve it over HTTP
  cog-nix exec python                  run a command in its environment
  cog-nix lock --upgrade numpy         move one pin
  cog-nix check IMAGE                  does an image keep Cog's promises?
  cog-nix schema                       the OpenAPI document of the model in this folder
  cog-nix config                       its cog.yaml, completed
"""


def _version(show: bool) -> None:  # noqa: FBT001 - typer calls it with the flag's value
    if show:
        typer.echo(f"cog-nix {__version__}")
        raise typer.Exit


def application(plugins: Plugins, program: str = "cog-nix", fast_path_key: str = "") -> typer.Typer:
    """Return the whole command line.

    Args:
        plugins: may add commands.
        program: how it was called.
        fast_path_key: see :class:`cog_nix.cli.session.Session`.
    """
    app = typer.Typer(
        name="cog-nix",
        cls=CommandGroup,
        help=named(program, _HELP),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def options(
        ctx: typer.Context,
        *,
        verbose: Annotated[
            bool, typer.Option("--verbose", "-v", "--debug", help="Show what the tools underneath print.")
        ] = False,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show errors and results only.")] = False,
        json_progress: Annotated[
            bool, typer.Option(SWITCH, help="Tell on stderr what happens as JSON, an object a line.")
        ] = False,
        runtime: Annotated[
            str,
            typer.Option(
                "--runtime",
                envvar="COG_NIX_RUNTIME",
                help="What holds and runs images: docker, podman, bundle (no daemon), or auto: "
                "the first there is.",
            ),
        ] = AUTO,
        version: Annotated[  # noqa: ARG001 - the callback answers it
            bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
        ] = False,
        no_color: Annotated[bool, typer.Option("--no-color", help="Print without colours.")] = False,
        profile: Annotated[bool, typer.Option("--profile", hidden=True)] = False,
        registry: Annotated[str, typer.Option("--registry", hidden=True)] = "",
    ) -> None:
        reporter = (JsonReporter if json_progress else TerminalReporter)(verbose=verbose, quiet=quiet)
        ctx.obj = Session(plugins, reporter, runtime or AUTO, program, fast_path_key)
        if profile:
            reporter.info("--profile has no effect: use py-spy or cProfile")
        if no_color or os.environ.get("COG_NO_COLOR"):
            os.environ["NO_COLOR"] = "1"  # what rich and the tools underneath go by
        if registry:
            os.environ["COG_REGISTRY_HOST"] = registry
        os.environ.update(trust(os.environ, cache_dir()))

    for name, command in COMMANDS.items():
        command.register(app, name)
    plugins.register_commands(app)
    return app


def run(arguments: Sequence[str], program: str = "cog-nix", fast_path_key: str = "") -> int:
    """Run a command line.

    Args:
        arguments: without the program's name.
        program: its name; as ``cog``, what is not done here goes to upstream's program.
        fast_path_key: see :class:`cog_nix.cli.session.Session`.

    Returns:
        The exit status.
    """
    reporter = (JsonReporter if has_switch(arguments, SWITCH) else TerminalReporter)()

    def do() -> Any:
        _check_surroundings()
        plugins = load_plugins()
        for name, reason in plugins.broken.items():
            reporter.warn(f"the plugin {name} is not loaded: {reason}")
        app = application(plugins, program, fast_path_key)
        return _run_with_hooks(app, plugins, as_options(arguments), program, reporter)

    status, problem = flush_stdout(_guarded(do, program, reporter))
    if problem:
        reporter.error(problem)
    return status


def _run_with_hooks(
    app: typer.Typer, plugins: Plugins, arguments: Sequence[str], program: str, reporter: TerminalReporter
) -> int:
    """Run a command, with the hooks before it, in its place and after it."""
    if completion_variable(program) in os.environ:  # a shell asks what it could be; nothing is run
        return int(app(args=[], prog_name=program, standalone_mode=False) or 0)
    command = command_of(arguments)
    known = {one.name for one in app.registered_commands if one.name}
    as_cog = program == COG
    theirs = bool(command) and (command not in known or (as_cog and upstream.needs_upstream(arguments)))
    # A word that is no command of cog-nix is a mistyped one, unless the shim is called.
    native = not theirs or not as_cog
    invocation = Invocation(program, command, tuple(arguments), native)

    def do() -> Any:
        plugins.before_command(invocation)
        status = plugins.instead_of_command(invocation)
        if status is not None:
            return status
        if not native:
            return upstream.hand_over(arguments, known)
        status = app(args=normalize(arguments), prog_name=program, standalone_mode=False)
        if status == INTERRUPTED:  # typer turns most Ctrl-C into this status by itself
            interrupts.report(reporter.info)
        return status

    status = _guarded(do, program, reporter)
    plugins.after_command(invocation, status)
    return status


def _guarded(do: Callable[[], Any], program: str, reporter: TerminalReporter) -> int:
    """Do something; turn what is the user's to mend into messages and an exit status."""
    try:
        status = do()
    except (KeyboardInterrupt, typer.Abort):
        interrupts.report(reporter.info)
        return INTERRUPTED
    except BaseException as error:
        if interrupts.interrupted():  # by what the interruption left half done
            interrupts.report(reporter.info)
            return INTERRUPTED
        status = explained(error, program, reporter)
        if status is None:
            raise
    return status if isinstance(status, int) else 0


def _check_surroundings() -> None:
    """See that there is a current folder, and one for temporary files.

    Raises:
        CogNixError: there is none.
    """
    import tempfile  # noqa: PLC0415 - the quick answer goes without

    try:
        os.getcwd()  # noqa: PTH109 - its answer is of no interest
    except OSError as error:
        raise CogNixError(
            f"The current folder cannot be used: {error.strerror}.",
            hint="It may have been removed: change to another one.",
        ) from error
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise CogNixError(
            "There is no folder that temporary files can be written to.",
            hint="Name one in TMPDIR, and see that its disk is not full.",
        ) from error


def explained(error: BaseException, program: str, reporter: TerminalReporter) -> int | None:
    """Tell what is the user's to mend; return the exit status, or None for a bug."""
    if isinstance(error, CogNixError):
        reporter.error(error.message, hint=error.hint or "", kind=type(error).__name__)
        return error.exit_code
    if isinstance(error, SystemExit):
        # Typer's answer to a reader that has left is 1.
        code = BROKEN_PIPE if isinstance(error.__context__, BrokenPipeError) else error.code
        return code if isinstance(code, int) else 1
    if isinstance(error, _UsageProblem):
        if isinstance(reporter, JsonReporter):
            reporter.error(error.format_message(), kind=type(error).__name__)
        else:
            usage.show(error)
        return 1 if program == COG else int(error.exit_code)
    if isinstance(error, OSError) and error.filename is None:
        status, problem = flush_stdout(0)
        if problem:
            reporter.error(problem)
        if status:
            return status
    if isinstance(error, OSError) and (advice := _SURROUNDINGS.get(error.errno or 0)):
        named = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else ""
        told = f"{named or 'a file, or standard output,'} cannot be used: {error.strerror}"
        more = room.told() if error.errno in _NO_ROOM else ()
        reporter.error("\n  ".join((told, *more)), hint=advice)
        return 1
    return None
