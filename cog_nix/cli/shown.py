"""What the user sees of a prediction: text on stdout, files, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from cog_nix.programs.missing import advice, missing_program
from cog_nix.runtime.client import FailedPredictionError, Prediction
from cog_nix.runtime.outputs import (
    choose_destination,
    json_text,
    split_extension,
    text_of,
    write_file,
    write_files,
)
from cog_nix.runtime.schema import ApiSchema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cog_nix.errors import PredictionError
    from cog_nix.report import Reporter
    from cog_nix.runtime.outputs import Destination
    from cog_nix.runtime.schema import Schema


@dataclass(frozen=True)
class Shown:
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
        # The server tells no traceback, so a name is a program's where a package has that.
        program = missing_program(f"{prediction.error}\n{prediction.logs}", traceback=False)
        package = self.package_of(program) if program else ""
        return FailedPredictionError(prediction, hint=advice(program, package) if program and package else "")

    def _emit(self, text: str) -> None:
        if not self.destination.asked:
            typer.echo(text)
            return
        write_file(self.destination.path, text.encode())
        self._tell_written(self.destination.path)

    def _tell_written(self, path: Path) -> None:
        self.reporter.info(f"Written output to: {path}")


def show_plainly(answer: Mapping[str, Any], openapi: dict[str, Any], reporter: Reporter) -> None:
    """Show a prediction of this folder's model, when nothing was said of how.

    Args:
        answer: a prediction, as :class:`Prediction` has it.
        openapi: the document of the model's server.
        reporter: told of files.

    Raises:
        PredictionError: it failed.
        RuntimeFailure: output cannot be written.
    """
    schema = ApiSchema(openapi).output()
    Shown(reporter, schema, choose_destination(""), _package_of).plain(Prediction(**answer))


def _package_of(program: str) -> str:
    """Return the package that has a program, in the suite of this folder's lock; "" where none is known."""
    from cog_nix.cli import building  # noqa: PLC0415 - only where a program is missing
    from cog_nix.cli.session import Session  # noqa: PLC0415 - as above
    from cog_nix.plugins import manager  # noqa: PLC0415 - as above

    return building.package_of(Session(manager.load()), "", program)


def _sorted(value: Any) -> Any:
    """Sort the keys of a model's output as upstream does, and leave the answer's own in their order."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
