"""``cog-nix train``: run the model's training once and write what it answers.

Cog has deprecated the command, and so it is hidden here too; the training itself stays in the HTTP API.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cog_nix.cli import predict
from cog_nix.cli.predict import (  # noqa: TC001 - typer reads the annotations
    ConfigFile,
    Env,
    Gpus,
    Ignored,
    IgnoredSwitch,
    Image,
    Input,
)
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
    progress: Ignored = "auto",  # noqa: ARG001 - accepted because scripts pass it to upstream
    dockerfile: Ignored = "",  # noqa: ARG001 - as above
    use_cuda_base_image: Ignored = "auto",  # noqa: ARG001 - as above
    use_cog_base_image: IgnoredSwitch = True,  # noqa: ARG001 - as above
) -> None:
    """Run a training."""
    complain(_DEPRECATED)
    options = predict.Options(
        image=image,
        inputs=tuple(inputs or ()),
        output=output,
        env=tuple(env or ()),
        gpus=gpus,
        config_file=None if config_file == "cog.yaml" else config_file,
        debug=reporter.verbose,
        train=True,
    )
    if not predict.run_model(options):
        sys.exit(1)
