"""Options that several commands have, in the groups that they come in.

A command's options are a frozen dataclass whose fields carry typer's annotations; see
:mod:`cog_nix.cli.commands`.

An option that concerns upstream's Dockerfile is taken, so that no script breaks, and its being without effect
is told once. One that would change what is in the image is refused: ignoring it would build something else.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from cog_nix.errors import ConfigError, FlagError
from cog_nix.registry.reference import Reference
from cog_nix.store.caches import VARIABLES
from cog_nix.system.packing import PACKINGS, USUAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cog_nix.cli.session import Session
    from cog_nix.cli.terminal import TerminalReporter
    from cog_nix.system.packing import Packing

Style = Literal["auto", "tty", "plain", "quiet"]
STYLES: tuple[Style, ...] = get_args(Style)
_AUTO = "auto"
_AS_PLAIN = ("rawjson",)
"""Styles of BuildKit that only Docker's own output has."""
_COMPONENT = re.compile("[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*")
"""Of a name (distribution, ``reference.path-component``)."""

_NO_EFFECT = "Accepted, without effect here."
_WHY: Mapping[str, str] = {
    "--use-cuda-base-image": "CUDA's libraries come with the wheels that ask for them",
    "--dockerfile": "nothing is built",
    "--timestamp": "every file and image has a fixed time already",
    "--separate-weights": "files of 10 MiB and more are a layer of their own in any case",
    "--strip": "shared libraries stay as their packages have them",
    "--precompile": "Python files of packages are always compiled",
    "--skip-schema-validation": "the OpenAPI document is read without running the model; "
    "give your own with --openapi-schema",
}


class WeightsPlace(StrEnum):
    """Where the files of managed weights go."""

    beside = "beside"
    inside = "inside"


Dockerfile = Annotated[
    str | None, typer.Option("--dockerfile", hidden=True, help="Refused: there is no Dockerfile.")
]
Env = Annotated[
    list[str] | None, typer.Option("--env", "-e", help="An environment variable, in the form name=value.")
]
Gpus = Annotated[
    str,
    typer.Option(
        "--gpus", show_default=False, help="GPUs to add to the container, as `docker run --gpus` takes them."
    ),
]
Input = Annotated[
    list[str] | None, typer.Option("--input", "-i", help="An input: name=value, or name=@path of a file.")
]
OutputTo = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="Write the image there instead of loading it: FILE.tar (a Docker archive), oci:FOLDER, "
        "oci-archive:FILE, docker-archive:FILE.",
    ),
]
Compression = Annotated[
    str | None,
    typer.Option(
        "--compression",
        help="How layers are compressed: gzip, zstd (smaller, faster), zstd:chunked (Podman and CRI-O fetch "
        "changed files alone), none, or auto (as the registry is known to take them). "
        "[default: gzip; of `push` what push.compression in cog-nix.toml says]",
    ),
]
EmbedSbom = Annotated[
    bool,
    typer.Option(
        "--embed-sbom",
        help="Put what is in the image into it, as SPDX and CycloneDX, in /usr/local/share/sbom.",
    ),
]
PlatformName = Annotated[
    str | None,
    typer.Option(
        "--platform",
        help="What the image is for: linux/amd64 or linux/arm64. [default: of those in cog-nix.toml this "
        "machine's, or else the first; linux/amd64 where it names none]",
    ),
]
Tag = Annotated[
    str | None,
    typer.Option("--tag", "-t", help="A name for the image, name:tag. [default: cog-<folder>]"),
]


def packing_of(given: str | None) -> Packing | None:
    """Return what ``--compression`` says; None: ``auto``.

    Raises:
        FlagError: it says something else.
    """
    if given == _AUTO:
        return None
    for one in PACKINGS:
        if given == one:
            return one
    if given is None:
        return USUAL
    raise FlagError("--compression", f"expected {', '.join(PACKINGS)} or {_AUTO}.", given)


def without_effect(name: str, *, hidden: bool = True) -> typer.models.OptionInfo:
    """Declare an option of upstream that changes nothing here."""
    option: typer.models.OptionInfo = typer.Option(name, hidden=hidden, help=_NO_EFFECT)
    return option


@dataclass(frozen=True, kw_only=True)
class ProjectOptions:
    """Of commands that look at the project."""

    config_file: Annotated[str, typer.Option("--file", "-f", help="The name of the config file.")] = (
        "cog.yaml"
    )


@dataclass(frozen=True, kw_only=True)
class LockOptions(ProjectOptions):
    """Of commands that may make a lock."""

    use_cog_base_image: Annotated[
        bool | None,
        typer.Option(
            "--use-cog-base-image/--no-use-cog-base-image",
            help="Add the system packages of Cog's base image, or leave them out. "
            "[default: as the lock has it]",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class BuildOptions(LockOptions):
    """Of commands that build."""

    progress: Annotated[
        str | None,
        typer.Option(
            "--progress",
            help="How progress is shown: auto, tty (bars), plain (lines) or quiet (results only). [default: "
            "BUILDKIT_PROGRESS, or auto]",
        ),
    ] = None
    use_cuda_base_image: Annotated[
        str | None,
        typer.Option("--use-cuda-base-image", help=f"{_NO_EFFECT} CUDA comes with wheels."),
    ] = None

    platform: PlatformName = None
    builders: Annotated[
        str | None,
        typer.Option(
            "--builders",
            envvar=VARIABLES["builders"],
            help="Machines that build, as Nix's `builders` has them: ssh-ng://HOST SYSTEM KEY JOBS; ….",
        ),
    ] = None

    def apply(self, session: Session, *, builds: bool = True) -> None:
        """Take what has a meaning, tell what has none, refuse what cannot be.

        Args:
            session: whose reporter shows progress.
            builds: whether something is built; a Dockerfile means nothing to an image that exists.

        Raises:
            ConfigError: a value is unknown, or a Dockerfile is asked for.
        """
        show_progress(session.reporter, self.progress)
        if self.builders:
            os.environ[VARIABLES["builders"]] = self.builders
        if builds and self._value("--dockerfile"):
            raise FlagError(
                "--dockerfile",
                "cog-nix builds without a Dockerfile.",
                hint="Describe the image in cog.yaml, or build this one with cog.",
            )
        for flag in filter(self._given, _WHY):
            if flag not in session.without_effect:
                session.without_effect.add(flag)
                session.reporter.info(f"{flag} has no effect: {_WHY[flag]}")

    def refuse_two_bases(self) -> None:
        """Refuse two base images at once, which upstream does for ``build`` and ``exec``.

        Raises:
            ConfigError: there are two.
        """
        bases = ("--use-cog-base-image", "--use-cuda-base-image", "--dockerfile")
        given = [flag for flag in bases if self._value(flag) is not None]
        if len(given) > 1:
            raise ConfigError(
                f"The flags {' and '.join(given)} are mutually exclusive: you can only set one of them."
            )

    def _given(self, flag: str) -> bool:
        value = self._value(flag)
        return value is not None and value is not False

    def _value(self, flag: str) -> object:
        """Return the value of an option; None as well where a command does not have it."""
        return getattr(self, flag[2:].replace("-", "_"), None)


@dataclass(frozen=True, kw_only=True)
class ImageOptions(BuildOptions):
    """Of commands whose result is an image."""

    update_lock: Annotated[
        bool,
        typer.Option("--update-lock", help="Resolve again when cog-nix.lock does not fit cog.yaml any more."),
    ] = False
    openapi_schema: Annotated[
        Path | None,
        typer.Option(
            "--openapi-schema",
            envvar="COG_OPENAPI_SCHEMA",
            help="Take the OpenAPI document from a file.",
        ),
    ] = None
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            help="A secret for commands that mount it: id=NAME,src=FILE or id=NAME,env=VARIABLE.",
        ),
    ] = None
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Run every command again, also where its result is there.")
    ] = False
    weights: Annotated[
        WeightsPlace,
        typer.Option(
            "--weights",
            help="Where the files of `weights:` go: beside the image, as Cog has it, or inside, as layers.",
        ),
    ] = WeightsPlace.beside
    dockerfile: Dockerfile = None
    separate_weights: Annotated[
        bool,
        typer.Option("--separate-weights", help=f"{_NO_EFFECT} Large files are a layer of their own."),
    ] = False
    strip: Annotated[bool, without_effect("--strip")] = False
    precompile: Annotated[bool, without_effect("--precompile")] = False


def show_progress(reporter: TerminalReporter, asked: str | None) -> None:
    """Choose how progress is shown; without ``--progress``, as BuildKit is told to.

    Raises:
        ConfigError: there is no such style.
    """
    style = asked or os.environ.get("BUILDKIT_PROGRESS")
    style = style or ("plain" if os.environ.get("TERM") == "dumb" else "auto")
    if style not in (*STYLES, *_AS_PLAIN):
        source = "--progress" if asked else "BUILDKIT_PROGRESS"
        raise FlagError(source, "unknown style.", style, hint=f"One of: {', '.join(STYLES)}.")
    reporter.progress("plain" if style in _AS_PLAIN else style)


def variables(given: Iterable[str]) -> dict[str, str]:
    """Split NAME=VALUE; a name alone takes the value it has here, as Docker's ``--env`` does."""
    pairs = (text.partition("=") for text in given)
    return {name: value if equals else os.environ.get(name, "") for name, equals, value in pairs}


def check_tag(tag: str | None) -> None:
    """Refuse a name that no runtime and no registry would take.

    Raises:
        ConfigError: it is one.
    """
    if tag is None:
        return
    reference = Reference.parse(tag)
    if reference.digest:
        raise FlagError("-t", "an image cannot be named by a digest", tag, hint="Write name:tag.")
    if not all(map(_COMPONENT.fullmatch, reference.repository.split("/"))):
        raise FlagError(
            "-t",
            "no runtime takes this name",
            tag,
            hint="Between letters and digits may be one dot, one or two underscores, or dashes.",
        )


def annotation(text: str) -> tuple[str, str]:
    """Split a label of an image, ``name=value``.

    Raises:
        FlagError: it is none.
    """
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise FlagError("--annotation", "expected name=value", text)
    return name, value
