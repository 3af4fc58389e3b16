"""``cog-nix build``."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.runtimes import find_runtime
from cog_nix.cli.terminal import amount, reporter
from cog_nix.errors import ConfigError
from cog_nix.image import with_tag
from cog_nix.plugins import Plugins, load

if TYPE_CHECKING:
    from cog_nix.build import BuildOptions, Built

_plugins: list[Plugins] = []

ConfigFile = Annotated[str, typer.Option("--file", "-f", help="The name of the config file.")]
Tag = Annotated[
    str | None,
    typer.Option(
        "--tag", "-t", show_default=False, help="A name for the image, name:tag. [default: cog-<folder>]"
    ),
]
UpdateLock = Annotated[
    bool,
    typer.Option("--update-lock", help="Resolve again when cog-nix.lock does not fit cog.yaml any more."),
]
Annotations = Annotated[
    list[str] | None, typer.Option("--annotation", help="A label for the image, name=value. May be repeated.")
]
OpenApi = Annotated[
    Path | None,
    typer.Option(
        "--openapi-schema",
        envvar="COG_OPENAPI_SCHEMA",
        show_default=False,
        help="Take the OpenAPI document from a file.",
    ),
]
Load = Annotated[bool, typer.Option("--load/--no-load", help="Load the image into Docker.")]
Link = Annotated[bool, typer.Option("--out-link/--no-out-link", help="Make the link ./result to the image.")]


def use(plugins: Plugins) -> None:
    """Remember the plugins that this process loaded."""
    _plugins[:] = [plugins]


def plugins() -> Plugins:
    """Return this process's plugins."""
    if not _plugins:
        use(load())
    return _plugins[0]


def register(app: typer.Typer) -> None:
    """Add ``build`` to the command line."""
    app.command("build", help="Build an image from cog.yaml and load it into Docker.")(build)


def build(
    *,
    config_file: ConfigFile = "cog.yaml",
    tag: Tag = None,
    update_lock: UpdateLock = False,
    annotation: Annotations = None,
    openapi_schema: OpenApi = None,
    load_image: Load = True,
    out_link: Link = True,
) -> None:
    """Build an image from cog.yaml and load it into Docker."""
    from cog_nix.build import BuildOptions  # noqa: PLC0415 - a faster --help
    from cog_nix.lock.ensure import Policy  # noqa: PLC0415

    options = BuildOptions(
        policy=Policy(update=update_lock),
        tag=tag,
        labels=dict(map(_annotation, annotation or ())),
        openapi=openapi_schema,
        link=out_link,
    )
    began = time.monotonic()
    built = build_image(config_file, options)
    if load_image:
        load_into_docker(built, began, linked=out_link)
    else:
        seconds = time.monotonic() - began
        reporter.info(
            f"Built {built.tag} ({amount(built.image.size)}) in {seconds:.1f} s: {_where(built, out_link)}"
        )


def _annotation(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ConfigError(f"--annotation {text}: expected name=value")
    return name, value


def build_image(config_file: str, options: BuildOptions) -> Built:
    """Build the project here; nothing is loaded anywhere."""
    from cog_nix.build import Services  # noqa: PLC0415 - a faster --help
    from cog_nix.build import build as build_project  # noqa: PLC0415
    from cog_nix.project import find_project  # noqa: PLC0415

    project = find_project(Path.cwd(), config_file)
    return build_project(project, options, Services(plugins(), reporter))


def load_into_docker(built: Built, began: float, *, linked: bool) -> None:
    """Load an image; where there is no Docker, say how to load it later."""
    runtime = find_runtime()
    if (reason := runtime.available()) is not None:
        reporter.warn(reason)
        reporter.info(
            f"Built {built.tag} ({amount(built.image.size)}) in {time.monotonic() - began:.1f} s. "
            f"Load it where Docker is with:\n  {_where(built, linked)} | docker load"
        )
        return
    runtime.load(built.image.path, [with_tag(built.tag)], reporter)
    reporter.info(
        f"Image built as {built.tag} ({amount(built.image.size)}) in {time.monotonic() - began:.1f} s"
    )


def _where(built: Built, linked: bool) -> str:  # noqa: FBT001 - one of two ways to name a path
    return "./result" if linked else str(built.image.path)


def document_of_environment() -> Path | None:
    """Return the OpenAPI document that ``COG_OPENAPI_SCHEMA`` names, for commands without the flag."""
    name = os.environ.get("COG_OPENAPI_SCHEMA")
    return Path(name) if name else None


def build_for_run(config_file: str | None) -> tuple[str, str]:
    """Build the project here and load it; return its reference and OpenAPI document."""
    from cog_nix.build import BuildOptions  # noqa: PLC0415 - a faster --help

    built = build_image(config_file or "cog.yaml", BuildOptions(openapi=document_of_environment()))
    runtime = find_runtime()
    tag = with_tag(built.tag)
    runtime.load(built.image.path, [tag], reporter)
    return tag, built.openapi
