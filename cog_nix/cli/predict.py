"""``cog-nix run``, ``predict`` and ``train``: run the model once and show what it answers.

stdout gets the answer and nothing else; narration and the model's own output go to stderr.
"""

from __future__ import annotations

import functools
import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path  # noqa: TC003
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cog_nix.cli.options import BuildOptions, Dockerfile, Env, Gpus, Input, variables
from cog_nix.cli.runtimes import building_for, starting_in, usable_runtime
from cog_nix.errors import PredictionError, RuntimeFailure
from cog_nix.plugins.spec import ContainerRequest
from cog_nix.programs.missing import advice, missing_program
from cog_nix.runtime.client import ModelClient
from cog_nix.runtime.inputs import prepare_inputs, read_inputs
from cog_nix.runtime.logs import ModelLog, log_environment
from cog_nix.runtime.outputs import (
    choose_destination,
    json_text,
    split_extension,
    text_of,
    write_file,
    write_files,
)
from cog_nix.runtime.schema import ApiSchema
from cog_nix.runtime.session import running_model
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.cli.building import LoadedImage
    from cog_nix.cli.session import Session
    from cog_nix.plugins.spec import Runtime
    from cog_nix.report import Reporter
    from cog_nix.runtime.client import Prediction
    from cog_nix.runtime.inputs import GivenInputs
    from cog_nix.runtime.outputs import Destination
    from cog_nix.runtime.schema import Schema

_DEPRECATED = 'Command "train" is deprecated, the train command will be removed in a future version of Cog'
_TRAINING_SERVER = ("python", "-m", "cog.server.http", "--x-mode", "train")

Image = Annotated[
    str | None, typer.Argument(show_default=False, help="An image built by Cog; none: build this folder.")
]


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
    reporter.info(starting_in(runtime))
    with (
        model.image.mounted(in_project=train) if model.image else nullcontext(()) as weights,
        running_model(
            runtime,
            replace(_request(options, model, debug=reporter.verbose, train=train), read_only=weights),
            setup_timeout=options.setup_timeout,
            log=ModelLog(reporter.info),
            reporter=reporter,
        ) as container,
    ):
        client = ModelClient(container.url, train=train)
        if inputs is None:
            inputs = prepare_inputs(given, client.schema(), train=train)
        reporter.info("Running training...\n" if train else "Running prediction...\n")
        prediction = client.predict(inputs, context)
        # The server's own document knows best what it answers; an image's label may be older than its server.
        output = client.schema().output(train=train)
        show = _Shown(reporter, output, destination, functools.partial(_package_of, session, options))
        if given.json is None:
            show.plain(prediction)
        else:
            show.as_json(prediction)
            if not prediction.succeeded:
                sys.exit(1)


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


@dataclass(frozen=True)
class _Shown:
    """Shows a prediction: files are written, the rest goes to stdout or to the file that was asked for."""

    reporter: Reporter
    schema: Schema
    """Of its output."""
    destination: Destination
    package_of: Callable[[str], str]
    """Returns the system package that has a program; "" where it knows none."""

    def plain(self, prediction: Prediction) -> None:
        """Show its output.

        Raises:
            PredictionError: it failed.
            RuntimeFailure: output cannot be written.
        """
        if not prediction.succeeded:
            raise self._failure(prediction)
        output = prediction.output
        if output is None:
            self.reporter.info("No output generated")
            return
        text = text_of(
            write_files(output, self.schema, self.destination.path, self._tell_written), self.schema
        )
        if text is not None:
            self._emit(text)

    def as_json(self, prediction: Prediction) -> None:
        """Show all of it, a failure as well.

        Raises:
            RuntimeFailure: output cannot be written.
        """
        output = prediction.output
        if prediction.succeeded and output is not None:
            path = self.destination.path
            path = path.with_name(split_extension(path.name)[0] or "output")  # `-o .json` leaves no name
            output = write_files(output, self.schema, path, self._tell_written)
        answer = {**prediction.public(), "output": output}
        self._emit(json_text({name: _sorted(value) for name, value in answer.items()}))

    def _failure(self, prediction: Prediction) -> PredictionError:
        logs = f"\n\n{prediction.logs.strip()}" if prediction.logs.strip() else ""
        # The server tells no traceback, so a name is a program's where a package has that.
        program = missing_program(f"{prediction.error}{logs}", traceback=False)
        package = self.package_of(program) if program else ""
        return PredictionError(
            f'Prediction failed with status "{prediction.status}": {prediction.error}{logs}',
            hint=advice(program, package) if program and package else "",
        )

    def _emit(self, text: str) -> None:
        if not self.destination.asked:
            typer.echo(text)
            return
        write_file(self.destination.path, text.encode())
        self._tell_written(self.destination.path)

    def _tell_written(self, path: Path) -> None:
        self.reporter.info(f"Written output to: {path}")


def _build_project(session: Session, options: _RunOptions, runtime: Runtime, *, train: bool) -> Model:
    """Build the project here; what a training writes into its folder stays."""
    from cog_nix.cli import building  # noqa: PLC0415 - an image that exists is run without

    session.reporter.info(building_for(runtime))
    cog_base = options.use_cog_base_image
    image = building.build_and_load(session, options.config_file, runtime, cog_base=cog_base)
    mounts = ((image.root, "/src"),) if train else ()
    return Model(image.reference, ApiSchema.parse(image.openapi), image.has_gpu, mounts, image)


def _find_model(session: Session, options: _RunOptions, runtime: Runtime, *, train: bool) -> Model:
    image = options.image
    if image is None:
        return _build_project(session, options, runtime, train=train)
    if "=" in image and not train:
        raise RuntimeFailure(f"Invalid image name '{image}'. Did you forget `-i`?")
    if runtime.image_id(image) is None:
        runtime.pull(image, session.reporter)
    labels = runtime.image_labels(image)
    if "run.cog.config" not in labels:
        raise RuntimeFailure(
            f"{image} is not a Cog model: it has no label run.cog.config.",
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


def _sorted(value: Any) -> Any:
    """Sort the keys of a model's output as upstream does, and leave the answer's own in their order."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
