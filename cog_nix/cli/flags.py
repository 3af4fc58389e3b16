"""Flags of upstream that several commands have, and what becomes of those that mean nothing here.

A flag that concerns upstream's Dockerfile is taken, so that no script breaks, and its being without effect is
told once. One that would change what is in the image is refused: ignoring it would build something else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from cog_nix.cli.terminal import reporter
from cog_nix.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Style = Literal["auto", "tty", "plain", "quiet"]
STYLES: tuple[Style, ...] = get_args(Style)
_AS_PLAIN = ("rawjson",)
"""Styles of BuildKit that only Docker's own output has."""

_NO_EFFECT = "Accepted, without effect here."

ConfigFile = Annotated[str, typer.Option("--file", "-f", help="The name of the config file.")]
Progress = Annotated[
    str | None,
    typer.Option(
        "--progress",
        show_default=False,
        help="How progress is shown: auto, tty (bars), plain (lines) or quiet (errors only). [default: "
        "BUILDKIT_PROGRESS, or auto]",
    ),
]
Dockerfile = Annotated[
    str | None, typer.Option("--dockerfile", hidden=True, help="Refused: there is no Dockerfile.")
]
CudaBase = Annotated[
    str | None,
    typer.Option("--use-cuda-base-image", show_default=False, help=f"{_NO_EFFECT} CUDA comes with wheels."),
]
CogBase = Annotated[
    bool | None,
    typer.Option(
        "--use-cog-base-image/--no-use-cog-base-image",
        show_default=False,
        help="Add the system packages of Cog's base image, or leave them out. [default: as the lock has it]",
    ),
]
SeparateWeights = Annotated[
    bool, typer.Option("--separate-weights", help=f"{_NO_EFFECT} Large files are a layer of their own.")
]
Timestamp = Annotated[int | None, typer.Option("--timestamp", hidden=True, help=_NO_EFFECT)]
Strip = Annotated[bool, typer.Option("--strip", hidden=True, help=_NO_EFFECT)]
Precompile = Annotated[bool, typer.Option("--precompile", hidden=True, help=_NO_EFFECT)]
SkipSchema = Annotated[bool, typer.Option("--skip-schema-validation", hidden=True, help=_NO_EFFECT)]
Env = Annotated[
    list[str] | None, typer.Option("--env", "-e", help="An environment variable, in the form name=value.")
]
Gpus = Annotated[
    str,
    typer.Option(
        "--gpus", show_default=False, help="GPUs to add to the container, as `docker run --gpus` takes them."
    ),
]

_WHY: Mapping[str, str] = {
    "--use-cuda-base-image": "CUDA's libraries come with the wheels that ask for them",
    "--separate-weights": "files of 10 MiB and more are a layer of their own in any case",
    "--timestamp": "every file and image has a fixed time already",
    "--strip": "shared libraries stay as their packages have them",
    "--precompile": "Python files of packages are always compiled",
    "--skip-schema-validation": "the OpenAPI document is read without running the model; "
    "hand in your own with --openapi-schema",
    "--dockerfile": "nothing is built",
    "--profile": "use py-spy or cProfile",
}
_told: set[str] = set()


@dataclass(frozen=True)
class BuildFlags:
    """What upstream's flags of a build say; None or False: not given."""

    progress: str | None = None
    dockerfile: str | None = None
    use_cuda_base_image: str | None = None
    use_cog_base_image: bool | None = None
    separate_weights: bool = False
    timestamp: int | None = None
    strip: bool = False
    precompile: bool = False
    skip_schema_validation: bool = False

    def apply(self, *, builds: bool = True, exclusive: bool = False) -> None:
        """Take what has a meaning, tell what has none, refuse what cannot be.

        Args:
            builds: whether something is built; a Dockerfile means nothing to an image that exists.
            exclusive: refuse two base images at once, which upstream does for ``build`` and ``exec``.

        Raises:
            ConfigError: a value is unknown, flags exclude each other, or a Dockerfile is asked for.
        """
        show_progress(self.progress)
        if exclusive:
            self._check_base()
        if builds and self.dockerfile:
            raise ConfigError(
                "--dockerfile: cog-nix builds without a Dockerfile.",
                hint="Describe the image in cog.yaml, or build this one with cog.",
            )
        for flag in self._without_effect():
            tell_without_effect(flag)

    def _check_base(self) -> None:
        given = [flag for flag, value in self._bases() if value is not None]
        if len(given) > 1:
            raise ConfigError(
                f"The flags {' and '.join(given)} are mutually exclusive: you can only set one of them."
            )

    def _bases(self) -> Iterator[tuple[str, object]]:
        yield "--use-cog-base-image", self.use_cog_base_image
        yield "--use-cuda-base-image", self.use_cuda_base_image
        yield "--dockerfile", self.dockerfile

    def _without_effect(self) -> Iterator[str]:
        if self.use_cuda_base_image is not None:
            yield "--use-cuda-base-image"
        if self.dockerfile is not None:
            yield "--dockerfile"
        if self.timestamp is not None:
            yield "--timestamp"
        switches = ("separate_weights", "strip", "precompile", "skip_schema_validation")
        yield from (f"--{name.replace('_', '-')}" for name in switches if getattr(self, name))


def tell_without_effect(flag: str) -> None:
    """Say once in this process that a flag changes nothing here, and why."""
    if flag not in _told:
        _told.add(flag)
        reporter.info(f"{flag} has no effect: {_WHY[flag]}")


def show_progress(asked: str | None) -> None:
    """Choose how progress is shown; without ``--progress``, as BuildKit is told to.

    Raises:
        ConfigError: there is no such style.
    """
    style = asked or os.environ.get("BUILDKIT_PROGRESS")
    style = style or ("plain" if os.environ.get("TERM") == "dumb" else "auto")
    if style not in (*STYLES, *_AS_PLAIN):
        source = "--progress" if asked else "BUILDKIT_PROGRESS"
        raise ConfigError(f"{source} {style}: there is no such style.", hint=f"One of: {', '.join(STYLES)}.")
    reporter.progress("plain" if style in _AS_PLAIN else style)


def variables(given: Iterable[str]) -> dict[str, str]:
    """Split NAME=VALUE; a name alone takes the value it has here, as Docker's ``--env`` does."""
    pairs = (text.partition("=") for text in given)
    return {name: value if equals else os.environ.get(name, "") for name, equals, value in pairs}
