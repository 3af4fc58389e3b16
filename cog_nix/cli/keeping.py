"""Models that stay warm between runs, as `run` has them."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from cog_nix.cli import fast_run
from cog_nix.cli.runtimes import building_for, starting_in
from cog_nix.config import load_settings
from cog_nix.config.model import Project
from cog_nix.errors import FlagError
from cog_nix.keep.client import open_model
from cog_nix.keep.request import KeepRequest
from cog_nix.project.find import CONFIG_FILE
from cog_nix.runtime.client import Prediction
from cog_nix.runtime.schema import ApiSchema
from cog_nix.system import jsonvalue
from cog_nix.system.duration import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cog_nix.cli.building import Remembered
    from cog_nix.cli.session import Session
    from cog_nix.keep.client import KeptModel
    from cog_nix.plugins.spec import ContainerRequest, Runtime

VARIABLE = "COG_NIX_KEEP"

Keep = Annotated[
    str | None,
    typer.Option(
        "--keep",
        envvar=VARIABLE,
        metavar="[=TIME]",
        help="Leave the model warm for the next runs until nobody has asked for so long: 90s, "
        "10m (also without a time), 1h; 0: end it at once. `cog-nix stop` ends it. "
        "[default: run.keep of cog-nix.toml, or 0]",
    ),
]


class Asked(Protocol):
    """A model that is ready to be asked."""

    def predict(self, inputs: Mapping[str, Any], context: Mapping[str, str] | None = None) -> Prediction:
        """Make a prediction."""

    def schema(self) -> ApiSchema:
        """Return the OpenAPI document of its server."""


@dataclass(frozen=True)
class Wanted:
    """A model that is to be kept."""

    request: ContainerRequest
    root: str
    """The project that its image was built from; empty: it was there."""
    keep: int
    """Seconds."""
    setup_timeout: float


class _Kept:
    """A kept model as :class:`Asked`."""

    def __init__(self, model: KeptModel) -> None:
        self._model = model

    def predict(self, inputs: Mapping[str, Any], context: Mapping[str, str] | None = None) -> Prediction:
        return Prediction(**self._model.predict(inputs, context)["prediction"])

    def schema(self) -> ApiSchema:
        return ApiSchema(self._model.openapi())


def keep_seconds(given: str | None, root: str) -> int:
    """Return for how many seconds a model is kept after this run; 0: not at all.

    Args:
        given: what the flag or the variable says; None: nothing.
        root: the project; empty: an image is run, and no project has a say.

    Raises:
        ConfigError: this is no time, or cog-nix.toml cannot be used.
    """
    if given is not None:
        seconds = parse_duration(given)
        if seconds is None:
            hint = "A time is written 90s, 10m or 1h; 0 keeps nothing."
            raise FlagError("--keep", "this is not a time", given, hint=hint)
        return seconds
    if not root:
        return 0
    return load_settings(Project(Path(root), Path(root, CONFIG_FILE))).run.keep


@contextmanager
def kept_model(
    session: Session, runtime: Runtime, wanted: Wanted, build: Remembered | None
) -> Iterator[Asked]:
    """Yield the model that is kept, ready; it is started where it is not there.

    Args:
        session: its reporter shows what the model writes.
        runtime: what runs it.
        wanted: which.
        build: what is remembered of its build; None: nothing, so the next run looks again.

    Raises:
        RuntimeFailure: it does not start.
    """
    reporter, reference = session.reporter, wanted.request.image
    request = KeepRequest(
        container=wanted.request,
        image=runtime.image_id(reference) or "",
        runtime=runtime.name,
        title=runtime.title,
        root=wanted.root,
        setup_timeout=wanted.setup_timeout,
        keep=wanted.keep,
        concurrency=_concurrency(runtime.image_labels(reference)),
    )
    name = "" if session.plugins.broken or session.is_heard else session.fast_path_key
    with open_model(request, reporter, lambda: reporter.info(starting_in(runtime))) as model:
        before = "" if model.is_new else "\n"
        reporter.info(f"{before}{fast_run.is_kept(runtime.title, wanted.keep)}")
        if name and build:
            asked = fast_run.Asked(model.name, (building_for(runtime),), wanted.keep)
            fast_run.remember(name, wanted.root, build, asked)
        elif name and not wanted.root:
            held = functools.partial(session.held, runtime, reference)
            fast_run.remember_image(name, held, fast_run.Asked(model.name, (), wanted.keep))
        yield _Kept(model)


def _concurrency(labels: Mapping[str, str]) -> int:
    """Return how many predictions an image's model makes at once."""
    try:
        most = jsonvalue.loads(labels["run.cog.config"])["concurrency"]["max"]
    except (KeyError, ValueError, TypeError):
        return 1
    return most if isinstance(most, int) and most > 1 else 1
