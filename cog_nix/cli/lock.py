"""``cog-nix lock``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cog_nix.cli.build import plugins
from cog_nix.cli.flags import CogBase, ConfigFile  # noqa: TC001 - typer reads them
from cog_nix.cli.terminal import reporter

Upgrade = Annotated[
    bool,
    typer.Option(
        "--upgrade", help="Move the pins of the named packages; of all packages when none is named."
    ),
]
Names = Annotated[list[str] | None, typer.Argument(show_default=False, help="Packages whose pins may move.")]
Explain = Annotated[
    str | None,
    typer.Option(
        "--explain",
        metavar="NAME",
        show_default=False,
        help="Tell why a Debian package, a Python package or a library is in the image; change nothing.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add ``lock`` to the command line."""
    app.command("lock", help="Resolve everything the image is made from and write cog-nix.lock.")(lock)


def lock(
    *,
    names: Names = None,
    upgrade: Upgrade = False,
    explain: Explain = None,
    config_file: ConfigFile = "cog.yaml",
    use_cog_base_image: CogBase = None,
) -> None:
    """Resolve everything the image is made from and write cog-nix.lock."""
    from cog_nix.build import story as building  # noqa: PLC0415 - a faster --help
    from cog_nix.errors import LockError  # noqa: PLC0415
    from cog_nix.lock.changes import changes  # noqa: PLC0415
    from cog_nix.lock.upgrade import Upgrade as Moving  # noqa: PLC0415
    from cog_nix.project.find import find_project  # noqa: PLC0415
    from cog_nix.resolve.ensure import Policy, ensure_lock, previous_lock  # noqa: PLC0415
    from cog_nix.resolve.request import Request  # noqa: PLC0415

    if names and not upgrade:
        raise LockError(
            "Which pins to move is said with --upgrade.", hint=f"cog-nix lock --upgrade {' '.join(names)}"
        )
    project = find_project(Path.cwd(), config_file)
    if explain and (names or upgrade):
        raise LockError("--explain changes nothing, so it goes with no other option.")
    if explain:
        from cog_nix.build.configuration import explain as lines_about  # noqa: PLC0415

        for line in lines_about(project, explain, plugins()):
            typer.echo(line)
        return
    services = building.Services(plugins(), reporter)
    loaded, settings = building.load(project, reporter)
    moving = Moving(everything=upgrade and not names, names=frozenset(names or ()))
    previous = previous_lock(project, moving, update=True)
    policy = Policy(update=True, upgrade=moving, look_at_project=True, cog_base=use_cog_base_image)
    resolve = services.resolver(lambda: services.tools(project, loaded, settings))
    new = ensure_lock(Request(project, loaded.config, settings), policy, services.plugins, resolve)
    lines = changes(previous, new)
    for line in lines:
        reporter.info(line)
    if not lines:
        reporter.info(f"{project.lock_path.name} is up to date")
