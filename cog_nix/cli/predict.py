"""``cog-nix run``, ``predict`` and ``train``: run the model once and show what it answers.

stdout gets the answer and nothing else; narration and the model's own output go to stderr.
"""

from __future__ import annotations

import functools
import os
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path  # noqa: TC003
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.keeping import Keep, Wanted, keep_seconds, kept_model
from cog_nix.cli.options import BuildOptions, Dockerfile, Env, Gpus, Input, variables
from cog_nix.cli.runtimes import building_for, hold, starting_in, usable_runtime
from cog_nix.cli.shown import Shown
from cog_nix.errors import RuntimeFailure
from cog_nix.plugins.spec import ContainerRequest
from cog_nix.runtime.client import ModelClient
from cog_nix.runtime.inputs import prepare_inputs, read_inputs
from cog_nix.runtime.logs import ModelLog, log_environment
from cog_nix.runtime.outputs import choose_destination
from cog_nix.runtime.schema import ApiSchema
from cog_nix.runtime.session import running_model
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.cli.building import LoadedImage
    from cog_nix.cli.keeping import Asked
    from cog_nix.cli.session import Session
    from cog_nix.plugins.spec import Runtime
    from cog_nix.report import Reporter
    from cog_nix.runtime.inputs import GivenInputs
    from cog_nix.runtime.outputs import Destination

_DEPRECATED = 'Command "train" is deprecated, the train command will be removed in a future version of Cog'
_TRAINING_SERVER = ("python", "-m", "cog.server.http", "--x-mode", "train")

Image = Annotated[str | None, typer.Argument(help="An image built by Cog; none: build this folder.")]


@dataclass(frozen=True, kw_only=True)
class _RunOptions(BuildOptions):
    image: Image = None
    inputs: Input = None
    output: Annotated[str, typer.Option("--output", "-o", show_default=False, help="Output path.")] = ""
    json_inputs: Annotated[
        str,
        typer.Option(
            "--json",
            show_default=False,
            help="Inputs as a JSON object, @path of a file with one, or @- (stdin).",
        ),
    ] = ""
    env: Env = None
    gpus: Gpus = ""
    setup_timeout: Annotated[
        int, typer.Option("--setup-timeout", min=0, help="How long the model's setup may take (in seconds).")
    ] = 5 * 60
    use_replicate_token: Annotated[
        bool,
        typer.Option(
            "--use-replicate-token", help="Pass REPLICATE_API_TOKEN from the environment to the model."
        ),
    ] = False
    keep: Keep = None
    dockerfile: Dockerfile = None


@dataclass(frozen=True, kw_only=True)
class _TrainOptions(BuildOptions):
    """What the command line says about a training: fewer of :class:`_RunOptions`."""

    image: Image = None
    inputs: Input = None
    output: Annotated[str, typer.Option("--output", "-o", help="Output path.")] = "weights"
    env: Env = None
    gpus: Gpus = ""
    dockerfile: Dockerfile = None


@dataclass(frozen=True)
class Model:
    """An image that is there to be run."""

    reference: str
    schema: ApiSchema | None
    """None: the image does not say; the running model does."""
    has_gpu: bool
    mounts: tuple[tuple[Path, str], ...] = ()
    """What is put over it."""
    image: LoadedImage | None = None
    """The one that was built here; None: it existed."""


def run(session: Session, options: _RunOptions) -> None:
    """Run the model."""
    _run_model(session, options)


def predict(session: Session, options: _RunOptions) -> None:
    """Run the model, under the name that upstream has deprecated."""
    session.reporter.warn('"cog predict" is deprecated, use "cog run"')
    _run_model(session, options)


def train(session: Session, options: _TrainOptions) -> None:
    """Run a training. Upstream has deprecated the command; the training itself stays in the HTTP API."""
    session.reporter.info(_DEPRECATED)
    _run_model(session, _RunOptions(**vars(options)), train=True)


def _run_model(session: Session, options: _RunOptions, *, train: bool = False) -> None:
    """Do what ``run`` does, from its options to its output.

    With ``--json`` the output tells of a failed prediction, and the process ends with 1.

    Raises:
        RuntimeFailure: an input is wrong, the model does not start, or the prediction fails.
    """
    options.apply(session, builds=options.image is None)
    reporter = session.reporter
    given = read_inputs(tuple(options.inputs or ()), options.json_inputs)
    context = _context(options)
    # A wrong input of a project is found before its image is built.
    schema = None if options.image else _project_schema(options.config_file)
    inputs = prepare_inputs(given, schema, train=train) if schema else None
    destination = _destination(options, given, reporter)
    runtime = usable_runtime(session)
    model = _find_model(session, options, runtime, train=train)
    if model.schema and inputs is None:
        inputs = prepare_inputs(given, model.schema, train=train)
    with (
        model.image.mounted(in_project=train) if model.image else nullcontext(()) as weights,
        _asked(
            session,
            options,
            runtime,
            model,
            replace(_request(options, model, debug=reporter.verbose, train=train), read_only=weights),
        ) as client,
    ):
        if inputs is None:
            inputs = prepare_inputs(given, client.schema(), train=train)
        reporter.info("Running training...\n" if train else "Running prediction...\n")
        prediction = client.predict(inputs, context)
        # The server's own document knows best what it answers; an image's label may be older than its server.
        output = client.schema().output(train=train)
        show = Shown(reporter, output, destination, functools.partial(_package_of, session, options))
        if given.json is None:
            show.plain(prediction)
        else:
            show.as_json(prediction)
            if not prediction.succeeded:
                sys.exit(1)


@contextmanager
def _asked(
    session: Session, options: _RunOptions, runtime: Runtime, model: Model, request: ContainerRequest
) -> Iterator[Asked]:
    """Yield the model, ready to be asked: one that is kept, or one for this time alone."""
    reporter = session.reporter
    root, build = (str(model.image.root), model.image.build) if model.image else ("", None)
    keep = 0 if request.command else keep_seconds(options.keep, root)
    if keep:
        wanted = Wanted(request, root, keep, options.setup_timeout)
        with kept_model(session, runtime, wanted, build) as asked:
            yield asked
        return
    reporter.info(starting_in(runtime))
    log = ModelLog(reporter.info)
    with running_model(
        runtime, request, setup_timeout=options.setup_timeout, log=log, reporter=reporter
    ) as container:
        yield ModelClient(container.url, train=bool(request.command))
        log.end()


def _request(options: _RunOptions, model: Model, *, debug: bool, train: bool) -> ContainerRequest:
    return ContainerRequest(
        model.reference,
        env={**variables(options.env or ()), **log_environment(os.environ, debug=debug)},
        gpus=options.gpus or ("all" if model.has_gpu else None),
        command=_TRAINING_SERVER if train else None,
        mounts=model.mounts,
    )


def _package_of(session: Session, options: _RunOptions, program: str) -> str:
    """Return the package that has a program, in the suite of the project's lock; "" where none is known."""
    if options.image:
        return ""
    from cog_nix.cli import building  # noqa: PLC0415 - an image that exists is run without

    return building.package_of(session, options.config_file, program)


def _project_schema(config_file: str) -> ApiSchema:
    from cog_nix.cli import building  # noqa: PLC0415 - an image that exists is run without

    return building.project_schema(config_file)


def _build_project(session: Session, options: _RunOptions, runtime: Runtime, *, train: bool) -> Model:
    """Build the project here; what a training writes into its folder stays."""
    from cog_nix.cli import building  # noqa: PLC0415 - an image that exists is run without

    session.reporter.info(building_for(runtime))
    cog_base = options.use_cog_base_image
    image = building.build_and_load(
        session, options.config_file, runtime, cog_base=cog_base, platform=options.platform
    )
    mounts = ((image.root, "/src"),) if train else ()
    return Model(image.reference, ApiSchema.parse(image.openapi), image.has_gpu, mounts, image)


def _find_model(session: Session, options: _RunOptions, runtime: Runtime, *, train: bool) -> Model:
    image = options.image
    if image is None:
        return _build_project(session, options, runtime, train=train)
    if "=" in image and not train:
        raise RuntimeFailure(f"Invalid image name '{image}'. Did you forget `-i`?")
    hold(session, runtime, image, options.platform)
    labels = runtime.image_labels(image)
    if "run.cog.config" not in labels:
        raise RuntimeFailure(
            f"image {image}: image is not a Cog model: it has no label run.cog.config.",
            hint="Name an image that `cog-nix build` (or cog) built.",
        )
    document = labels.get("run.cog.openapi_schema", "")
    schema = ApiSchema.parse(document) if document else None
    usable = schema is not None and schema.has_inputs(train=train)
    return Model(image, schema if usable else None, _wants_gpu(labels))


def _wants_gpu(labels: dict[str, str]) -> bool:
    try:
        return bool(jsonvalue.loads(labels["run.cog.config"])["build"]["gpu"])
    except (KeyError, ValueError, TypeError):
        return False


def _context(options: _RunOptions) -> dict[str, str]:
    if not options.use_replicate_token:
        return {}
    token = os.environ.get("REPLICATE_API_TOKEN")
    if not token:
        raise RuntimeFailure(
            "Failed to find REPLICATE_API_TOKEN in the current environment when called with "
            "--use-replicate-token"
        )
    return {"replicate_api_token": token}


def _destination(options: _RunOptions, given: GivenInputs, reporter: Reporter) -> Destination:
    if given.json is None:
        return choose_destination(options.output)
    destination = choose_destination(options.output, fallback="output.json")
    if destination.path.suffix != ".json":
        reporter.info(f"--output value does not have a .json suffix: {destination.path.name}")
    return destination
