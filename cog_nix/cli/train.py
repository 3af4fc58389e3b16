"""``cog-nix train``: run the model's training once and write what it answers.

Cog has deprecated the command, and so it is hidden here too; the training itself stays in the HTTP API.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cog_nix.cli import predict
from cog_nix.cli.flags import BuildFlags, CogBase, ConfigFile, CudaBase, Dockerfile, Env, Gpus, Progress
from cog_nix.cli.predict import Image, Input  # noqa: TC001 - typer reads the annotations
from cog_nix.cli.terminal import complain, reporter

_DEPRECATED = 'Command "train" is deprecated, the train command will be removed in a future version of Cog'

Output = Annotated[str, typer.Option("--output", "-o", help="Output path.")]


def register(app: typer.Typer) -> None:
    """Add ``train`` to the command line."""
    app.command("train", hidden=True, help="Run a training (deprecated).")(train)


def train(
    *,
    image: Image = None,
    inputs: Input = None,
    output: Output = "weights",
    env: Env = None,
    gpus: Gpus = "",
    config_file: ConfigFile = "cog.yaml",
    progress: Progress = None,
    dockerfile: Dockerfile = None,
    use_cuda_base_image: CudaBase = None,
    use_cog_base_image: CogBase = None,
) -> None:
    """Run a training."""
    complain(_DEPRECATED)
    flags = BuildFlags(progress, dockerfile, use_cuda_base_image, use_cog_base_image)
    flags.apply(builds=image is None)
    options = predict.Options(
        image=image,
        inputs=tuple(inputs or ()),
        output=output,
        env=tuple(env or ()),
        gpus=gpus,
        config_file=None if config_file == "cog.yaml" else config_file,
        debug=reporter.verbose,
        cog_base=use_cog_base_image,
        train=True,
    )
    if not predict.run_model(options):
        sys.exit(1)
