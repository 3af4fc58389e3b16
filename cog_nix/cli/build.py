"""``cog-nix build``."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.flags import (
    BuildFlags,
    CogBase,
    ConfigFile,
    CudaBase,
    Dockerfile,
    Precompile,
    Progress,
    SeparateWeights,
    SkipSchema,
    Strip,
    Timestamp,
)
from cog_nix.cli.runtimes import find_runtime, import_first_choice, is_first_choice
from cog_nix.cli.terminal import amount, reporter
from cog_nix.errors import ConfigError
from cog_nix.image.description import with_tag
from cog_nix.plugins.manager import Plugins, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.build.story import BuildOptions, Built
    from cog_nix.image.archives import Output
    from cog_nix.plugins.spec import Held

_HELP = """Build an image from cog.yaml and load it into Docker, or into another --runtime.

\b
  cog-nix build                      named cog-<folder>, or as cog.yaml says
  cog-nix build -t my-model:v2
  cog-nix build -f gpu.yaml          another configuration
  cog-nix build --update-lock        after a change of what is asked for
  cog-nix build --no-load            no runtime is needed; ./result | docker load, elsewhere
"""

_HEARD = ("before_command", "instead_of_command", "after_command", "before_build", "after_build")
"""Hooks that are called around a build."""

_COMPONENT = re.compile("[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*")
"""Of a name (distribution, ``reference.path-component``)."""
_plugins: list[Plugins] = []

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
Secrets = Annotated[
    list[str] | None,
    typer.Option(
        "--secret", help="A secret for commands that mount it: id=NAME,src=FILE or id=NAME,env=VARIABLE."
    ),
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Run every command again, also where its result is there.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Use no network: everything must be here already.")]
Load = Annotated[
    bool, typer.Option("--load/--no-load", help="Load the image into Docker, or another --runtime.")
]
OutputTo = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        show_default=False,
        help="Write the image there instead of loading it: FILE.tar (a Docker archive), oci:FOLDER, "
        "oci-archive:FILE, docker-archive:FILE.",
    ),
]
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
    app.command("build", help=_HELP)(build)


def build(
    *,
    config_file: ConfigFile = "cog.yaml",
    tag: Tag = None,
    update_lock: UpdateLock = False,
    annotation: Annotations = None,
    openapi_schema: OpenApi = None,
    secret: Secrets = None,
    no_cache: NoCache = False,
    offline: Offline = False,
    load_image: Load = True,
    out_link: Link = True,
    output: OutputTo = None,
    progress: Progress = None,
    dockerfile: Dockerfile = None,
    use_cuda_base_image: CudaBase = None,
    use_cog_base_image: CogBase = None,
    separate_weights: SeparateWeights = False,
    timestamp: Timestamp = None,
    strip: Strip = False,
    precompile: Precompile = False,
    skip_schema_validation: SkipSchema = False,
) -> None:
    """Build an image from cog.yaml and load it into Docker."""
    from cog_nix.build.story import BuildOptions  # noqa: PLC0415 - a faster --help
    from cog_nix.image import archives  # noqa: PLC0415
    from cog_nix.resolve.ensure import Policy  # noqa: PLC0415
    from cog_nix.run_commands.ensure import RunOptions  # noqa: PLC0415
    from cog_nix.run_commands.secrets import guard, parse  # noqa: PLC0415

    BuildFlags(
        progress,
        dockerfile,
        use_cuda_base_image,
        use_cog_base_image,
        separate_weights,
        timestamp,
        strip,
        precompile,
        skip_schema_validation,
    ).apply(exclusive=True)
    if offline and no_cache:
        raise ConfigError("--offline and --no-cache: commands may need the network", hint="Give one of them.")
    secrets = parse(secret or (), Path.cwd(), os.environ)
    guard(secrets.values())
    wanted = archives.Output.parse(output) if output is not None else None
    options = BuildOptions(
        policy=Policy(update=update_lock, cog_base=use_cog_base_image),
        tag=checked_tag(tag),
        labels=dict(map(_annotation, annotation or ())),
        openapi=openapi_schema,
        result_link=out_link,
        runs=RunOptions(secrets=secrets, again=no_cache, accept=update_lock),
        offline=offline,
        oci=bool(wanted and wanted.needs_blobs),
    )
    began = time.monotonic()
    built = build_image(config_file, options, import_first_choice if load_image and not wanted else None)
    if wanted:
        _write(built, wanted, began)
    elif load_image:
        ask = load_into_runtime(built, began)
        _remember(config_file, built, ask, loaded=True)
    else:
        _remember(config_file, built, lambda: None, loaded=False)
        seconds = time.monotonic() - began
        reporter.info(f"Built {built.tag} ({amount(built.image.size)}) in {seconds:.1f} s: {_where(built)}")


def _write(built: Built, wanted: Output, began: float) -> None:
    """Write an image where the user wants it."""
    from cog_nix.image.archives import write  # noqa: PLC0415 - a faster --help

    reporter.step(f"Writing {wanted.path}")
    write(wanted, built.image.path, built.oci, [with_tag(built.tag)])
    reporter.info(f"Built {built.tag} in {time.monotonic() - began:.1f} s: {wanted.kind}:{wanted.path}")


def checked_tag(tag: str | None) -> str | None:
    """Return the name that an image is to have.

    Raises:
        ConfigError: no runtime and no registry would take it.
    """
    from cog_nix.registry.reference import Reference  # noqa: PLC0415 - a faster --help

    if tag is None:
        return None
    reference = Reference.parse(tag)
    if reference.digest:
        raise ConfigError(f"-t {tag}: a digest is no name to give", hint="Write name:tag.")
    if not all(map(_COMPONENT.fullmatch, reference.repository.split("/"))):
        raise ConfigError(
            f"-t {tag}: no runtime takes this name",
            hint="Between letters and digits may be one dot, one or two underscores, or dashes.",
        )
    return tag


def _annotation(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ConfigError(f"--annotation {text}: expected name=value")
    return name, value


def build_image(
    config_file: str, options: BuildOptions, meanwhile: Callable[[], object] | None = None
) -> Built:
    """Build the project here; nothing is loaded anywhere.

    Args:
        config_file: its name.
        options: what the user decided.
        meanwhile: see :class:`cog_nix.build.services.Services`.
    """
    from cog_nix.build.story import Services  # noqa: PLC0415 - a faster --help
    from cog_nix.build.story import build as build_project  # noqa: PLC0415
    from cog_nix.project.find import find_project  # noqa: PLC0415

    project = find_project(Path.cwd(), config_file)
    return build_project(
        project, options, Services(plugins(), reporter, whole=True, while_building=meanwhile)
    )


def _remember(config_file: str, built: Built, ask: Callable[[], Held | None], *, loaded: bool) -> None:
    """Keep what this command did, unless a plugin wants to hear of the next one."""
    from cog_nix.cli import quick  # noqa: PLC0415 - a faster --help
    from cog_nix.project.find import find_project  # noqa: PLC0415

    heard = plugins().implements(*_HEARD)
    if not heard and not plugins().broken:
        root = str(find_project(Path.cwd(), config_file).root)
        quick.remember(built.kept, root, loaded=loaded, linked=built.has_result_link, ask=ask)


def load_into_runtime(built: Built, began: float) -> Callable[[], Held | None]:
    """Load an image into the runtime; where there is none, say how to load it later.

    Returns:
        What tells where to ask for it the next time, when the runtime would be this one again.
    """
    runtime = find_runtime()
    if (reason := runtime.available()) is not None:
        reporter.warn(reason)
        reporter.info(
            f"Built {built.tag} ({amount(built.image.size)}) in {time.monotonic() - began:.1f} s. "
            f"Load it where Docker is with:\n  {_where(built)} | docker load"
        )
        return lambda: None
    loaded = runtime.load(built.image.path, [with_tag(built.tag)], reporter)
    reporter.info(
        f"Image built as {built.tag} ({amount(built.image.size)}) in {time.monotonic() - began:.1f} s"
    )

    def ask() -> Held | None:
        from cog_nix.plugins.spec import RememberedRuntime  # noqa: PLC0415 - a faster --help

        if not (is_first_choice(runtime) and isinstance(runtime, RememberedRuntime)):
            return None
        held = runtime.held(with_tag(built.tag))
        return held if held and held.id == loaded else None

    return ask


def _where(built: Built) -> str:
    return "./result" if built.has_result_link else str(built.image.path)


def document_of_environment() -> Path | None:
    """Return the OpenAPI document that ``COG_OPENAPI_SCHEMA`` names, for commands without the flag."""
    name = os.environ.get("COG_OPENAPI_SCHEMA")
    return Path(name) if name else None


def keep_document(config_file: str | None, document: str) -> None:
    """Leave the OpenAPI document in the project's ``.cog``, where a server finds it that has it mounted."""
    from cog_nix.project.find import find_project  # noqa: PLC0415 - a faster --help
    from cog_nix.system.state import remember  # noqa: PLC0415

    remember(find_project(Path.cwd(), config_file).state_dir / "openapi_schema.json", document)


def options_of_run(*, cog_base: bool | None) -> BuildOptions:
    """Return the options of a build whose image is run at once.

    Args:
        cog_base: whether the packages of Cog's base image come; None: not said.
    """
    from cog_nix.build.story import BuildOptions  # noqa: PLC0415 - a faster --help
    from cog_nix.resolve.ensure import Policy  # noqa: PLC0415

    return BuildOptions(policy=Policy(cog_base=cog_base), openapi=document_of_environment())


def build_for_run(config_file: str | None, *, cog_base: bool | None = None) -> tuple[str, str]:
    """Build the project here and load it; return its reference and OpenAPI document."""
    built = build_image(config_file or "cog.yaml", options_of_run(cog_base=cog_base), import_first_choice)
    keep_document(config_file, built.openapi)
    runtime = find_runtime()
    tag = with_tag(built.tag)
    runtime.load(built.image.path, [tag], reporter)
    return tag, built.openapi
