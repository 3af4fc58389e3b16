"""``cog-nix run`` and ``cog-nix predict``: run the model once and show what it answers.

stdout gets the answer and nothing else; narration and the model's own output go to stderr.
"""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cog_nix.cli.flags import (
    BuildFlags,
    CogBase,
    ConfigFile,
    CudaBase,
    Dockerfile,
    Env,
    Gpus,
    Progress,
    variables,
)
from cog_nix.cli.runtimes import building_for, starting_in, usable_runtime
from cog_nix.cli.terminal import reporter
from cog_nix.errors import PredictionError, RuntimeFailure
from cog_nix.programs.missing import advice, missing_program
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.plugins.spec import ContainerRequest, Runtime
    from cog_nix.runtime.client import Prediction
    from cog_nix.runtime.inputs import GivenInputs
    from cog_nix.runtime.outputs import Destination
    from cog_nix.runtime.schema import ApiSchema, Schema

_HELP = """Run the model: build it, or take the named image, and make one prediction.

\b
  cog-nix run -i prompt="a photo of a cat"
  cog-nix run -i image=@photo.jpg -o output.png   a file in, a file out
  cog-nix run -i n=1 -i tags=a -i tags=b          a name given twice makes a list
  cog-nix run registry.example.org/model -i n=1   an image that exists
  echo '{"n": 1}' | cog-nix run --json @-         inputs and answer as JSON
"""
DEFAULT_SETUP_TIMEOUT = 5 * 60
_TRAINING_SERVER = ("python", "-m", "cog.server.http", "--x-mode", "train")

Image = Annotated[
    str | None, typer.Argument(show_default=False, help="An image built by Cog; none: build this folder.")
]
Input = Annotated[
    list[str] | None, typer.Option("--input", "-i", help="An input: name=value, or name=@path of a file.")
]
Output = Annotated[str, typer.Option("--output", "-o", show_default=False, help="Output path.")]
Json = Annotated[
    str,
    typer.Option(
        "--json", show_default=False, help="Inputs as a JSON object, @path of a file with one, or @- (stdin)."
    ),
]
SetupTimeout = Annotated[
    int, typer.Option("--setup-timeout", min=0, help="How long the model's setup may take (in seconds).")
]
ReplicateToken = Annotated[
    bool,
    typer.Option("--use-replicate-token", help="Pass REPLICATE_API_TOKEN from the environment to the model."),
]


@dataclass(frozen=True)
class Options:
    """What the flags ask for."""

    image: str | None = None
    inputs: tuple[str, ...] = ()
    json: str = ""
    output: str = ""
    env: tuple[str, ...] = ()
    gpus: str = ""
    setup_timeout: int = DEFAULT_SETUP_TIMEOUT
    use_replicate_token: bool = False
    config_file: str | None = None
    debug: bool = False
    cog_base: bool | None = None
    """Whether the packages of Cog's base image come; None: not said."""
    train: bool = False
    """Run the training of the model instead of its prediction."""


@dataclass(frozen=True)
class Model:
    """An image that is there to be run."""

    reference: str
    schema: ApiSchema | None
    """None: the image does not say; the running model does."""
    has_gpu: bool


def register(app: typer.Typer) -> None:
    """Add ``run`` and ``predict`` to the command line."""
    app.command("run", help=_HELP)(run)
    app.command("predict", help="The same as run (deprecated, use run).")(predict)


def run(
    *,
    image: Image = None,
    inputs: Input = None,
    output: Output = "",
    json_inputs: Json = "",
    env: Env = None,
    gpus: Gpus = "",
    setup_timeout: SetupTimeout = DEFAULT_SETUP_TIMEOUT,
    use_replicate_token: ReplicateToken = False,
    config_file: ConfigFile = "cog.yaml",
    progress: Progress = None,
    dockerfile: Dockerfile = None,
    use_cuda_base_image: CudaBase = None,
    use_cog_base_image: CogBase = None,
) -> None:
    """Run the model."""
    flags = BuildFlags(progress, dockerfile, use_cuda_base_image, use_cog_base_image)
    flags.apply(builds=image is None)
    options = Options(
        image=image,
        inputs=tuple(inputs or ()),
        json=json_inputs,
        output=output,
        env=tuple(env or ()),
        gpus=gpus,
        setup_timeout=setup_timeout,
        use_replicate_token=use_replicate_token,
        config_file=None if config_file == "cog.yaml" else config_file,
        debug=reporter.verbose,
        cog_base=use_cog_base_image,
    )
    if not run_model(options):
        sys.exit(1)


@functools.wraps(run)
def predict(**arguments: Any) -> None:
    """Run the model, under the name that upstream has deprecated."""
    reporter.warn('"cog predict" is deprecated, use "cog run"')
    run(**arguments)


def run_model(options: Options) -> bool:
    """Do what ``run`` does, from flags to output.

    Returns:
        Whether the prediction succeeded; False only with ``--json``, whose output has told why not.

    Raises:
        RuntimeFailure: an input is wrong, the model does not start, or the prediction fails.
    """
    from cog_nix.runtime.client import ModelClient  # noqa: PLC0415 - a faster `--help`
    from cog_nix.runtime.inputs import prepare_inputs, read_inputs  # noqa: PLC0415
    from cog_nix.runtime.logs import ModelLog  # noqa: PLC0415
    from cog_nix.runtime.session import running_model  # noqa: PLC0415

    given = read_inputs(options.inputs, options.json)
    context = _context(options)
    # A wrong input of a project is found before its image is built.
    schema = None if options.image else project_schema(options.config_file)
    inputs = prepare_inputs(given, schema, train=options.train) if schema else None
    destination = _destination(options, given)
    runtime = usable_runtime()
    model = _find_model(options, runtime)
    schema = schema or model.schema
    if schema and inputs is None:
        inputs = prepare_inputs(given, schema, train=options.train)
    log = ModelLog(say)
    say(starting_in(runtime))
    with running_model(
        runtime, _request(options, model), setup_timeout=options.setup_timeout, log=log, reporter=reporter
    ) as container:
        client = ModelClient(container.url, train=options.train)
        if inputs is None:
            inputs = prepare_inputs(given, client.schema(), train=options.train)
        say("Running training...\n" if options.train else "Running prediction...\n")
        prediction = client.predict(inputs, context)
        # The server's own document knows best what it answers; an image's label may be older than its server.
        output = client.schema().output(train=options.train)
        find = functools.partial(_package_of, options)
        return present(prediction, output, destination, as_json=given.json is not None, package_of=find)


def _package_of(options: Options, program: str) -> str:
    """Return the package that has a program, in the suite of the project's lock; "" where none is known."""
    if options.image:
        return ""
    from cog_nix.build import story as building  # noqa: PLC0415 - only where one is missing
    from cog_nix.cli.build import plugins  # noqa: PLC0415
    from cog_nix.config import load_settings  # noqa: PLC0415
    from cog_nix.lock import format as lock_format  # noqa: PLC0415
    from cog_nix.project.find import find_project  # noqa: PLC0415

    project = find_project(Path.cwd(), options.config_file)
    lock = lock_format.read(project.lock_path)
    services = building.Services(plugins(), reporter)
    return services.package_of(project, load_settings(project), lock.suite, program) if lock else ""


def present(
    prediction: Prediction,
    schema: Schema,
    destination: Destination,
    *,
    as_json: bool,
    package_of: Callable[[str], str] = lambda _: "",
) -> bool:
    """Show a prediction: files are written, everything else goes to stdout or to the file that was asked for.

    Args:
        prediction: what the model answered.
        schema: of its output.
        destination: where that goes.
        as_json: whether all of it is shown as JSON.
        package_of: returns the system package that has a program; "" where it knows none.

    Returns:
        Whether it succeeded; a failure is only returned with ``as_json``.

    Raises:
        PredictionError: it failed.
        RuntimeFailure: output cannot be written.
    """
    from cog_nix.runtime.outputs import json_text, split_extension, text_of, write_files  # noqa: PLC0415 - a faster `--help`

    public = prediction.public()
    output = prediction.output
    if prediction.succeeded and output is not None:
        path = destination.path
        if as_json:
            # `-o .json` leaves no name.
            path = path.with_name(split_extension(path.name)[0] or "output")
        output = write_files(output, schema, path, _written)
    if as_json:
        _emit(
            json_text({name: _sorted(value) for name, value in {**public, "output": output}.items()}),
            destination,
        )
        return prediction.succeeded
    if not prediction.succeeded:
        logs = f"\n\n{prediction.logs.strip()}" if prediction.logs.strip() else ""
        # The server tells no traceback, so a name is a program's where a package has that.
        program = missing_program(f"{prediction.error}{logs}", traceback=False)
        package = package_of(program) if program else ""
        raise PredictionError(
            f'Prediction failed with status "{prediction.status}": {prediction.error}{logs}',
            hint=advice(program, package) if package else "",
        )
    if output is None:
        say("No output generated")
        return True
    text = text_of(output, schema)
    if text is not None:
        _emit(text, destination)
    return True


def say(text: str) -> None:
    """Write a line of narration."""
    reporter.info(text)


def project_schema(config_file: str | None) -> ApiSchema:
    """Return what the project's source says about inputs and outputs.

    Raises:
        ConfigError: there is no usable cog.yaml.
        SignatureError: the source cannot be described.
    """
    from cog_nix.build.interface import read_api  # noqa: PLC0415 - only when there is something to build
    from cog_nix.cli.build import document_of_environment  # noqa: PLC0415
    from cog_nix.config import load_config  # noqa: PLC0415
    from cog_nix.project.find import find_project  # noqa: PLC0415
    from cog_nix.runtime.schema import ApiSchema  # noqa: PLC0415

    project = find_project(Path.cwd(), config_file or "cog.yaml")
    config = load_config(project)
    return ApiSchema.parse(read_api(project, config, document_of_environment()).document(""))


def build_project(config_file: str | None, *, cog_base: bool | None = None) -> tuple[str, str]:
    """Build the project; return the image's reference and its OpenAPI document."""
    from cog_nix.cli.build import build_for_run  # noqa: PLC0415 - only when there is something to build

    return build_for_run(config_file, cog_base=cog_base)


def project_mounts(config_file: str | None) -> tuple[tuple[Path, str], ...]:
    """Return what puts the project over the image's copy of it, so that what a training writes stays."""
    from cog_nix.project.find import find_project  # noqa: PLC0415 - only for a training

    return ((find_project(Path.cwd(), config_file).root, "/src"),)


def _find_model(options: Options, runtime: Runtime) -> Model:
    from cog_nix.runtime.schema import ApiSchema  # noqa: PLC0415 - a faster `--help`

    if options.image is None:
        say(building_for(runtime))
        reference, document = build_project(options.config_file, cog_base=options.cog_base)
        return Model(reference, ApiSchema.parse(document), _wants_gpu(runtime.image_labels(reference)))
    if "=" in options.image and not options.train:
        raise RuntimeFailure(f"Invalid image name '{options.image}'. Did you forget `-i`?")
    labels = _labels_of(options.image, runtime)
    if "run.cog.config" not in labels:
        raise RuntimeFailure(
            f"{options.image} is not a Cog model: it has no label run.cog.config.",
            hint="Name an image that `cog-nix build` (or cog) built.",
        )
    document = labels.get("run.cog.openapi_schema", "")
    schema = ApiSchema.parse(document) if document else None
    usable = schema is not None and schema.has_inputs(train=options.train)
    return Model(options.image, schema if usable else None, _wants_gpu(labels))


def _labels_of(image: str, runtime: Runtime) -> dict[str, str]:
    if runtime.image_id(image) is None:
        runtime.pull(image, reporter)
    return runtime.image_labels(image)


def _wants_gpu(labels: dict[str, str]) -> bool:
    try:
        return bool(jsonvalue.loads(labels["run.cog.config"])["build"]["gpu"])
    except (KeyError, ValueError, TypeError):
        return False


def _request(options: Options, model: Model) -> ContainerRequest:
    from cog_nix.plugins.spec import ContainerRequest  # noqa: PLC0415
    from cog_nix.runtime.logs import log_environment  # noqa: PLC0415 - a faster `--help`

    env = {**variables(options.env), **log_environment(os.environ, debug=options.debug)}
    return ContainerRequest(
        model.reference,
        env=env,
        gpus=options.gpus or ("all" if model.has_gpu else None),
        command=_TRAINING_SERVER if options.train else None,
        mounts=project_mounts(options.config_file) if options.train and options.image is None else (),
    )


def _context(options: Options) -> dict[str, str]:
    if not options.use_replicate_token:
        return {}
    token = os.environ.get("REPLICATE_API_TOKEN")
    if not token:
        raise RuntimeFailure(
            "Failed to find REPLICATE_API_TOKEN in the current environment when called with "
            "--use-replicate-token"
        )
    return {"replicate_api_token": token}


def _destination(options: Options, given: GivenInputs) -> Destination:
    from cog_nix.runtime.outputs import choose_destination  # noqa: PLC0415 - a faster `--help`

    if given.json is None:
        return choose_destination(options.output)
    destination = choose_destination(options.output, fallback="output.json")
    if destination.path.suffix != ".json":
        say(f"--output value does not have a .json suffix: {destination.path.name}")
    return destination


def _emit(text: str, destination: Destination) -> None:
    from cog_nix.runtime.outputs import write_file  # noqa: PLC0415 - a faster `--help`

    if not destination.asked:
        typer.echo(text)
        return
    write_file(destination.path, text.encode())
    _written(destination.path)


def _written(path: Path) -> None:
    say(f"Written output to: {path}")


def _sorted(value: Any) -> Any:
    """Sort the keys of a model's output as upstream does, and leave the answer's own in their order."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
