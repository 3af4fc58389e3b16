"""``cog-nix schema``: the OpenAPI document of the model in this folder, without building anything."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cog_nix.build.interface import read_api
from cog_nix.build.story import load
from cog_nix.cli.building import document_of_environment
from cog_nix.cli.options import ProjectOptions
from cog_nix.cli.streams import write_stdout
from cog_nix.config.legacy import sdk_for
from cog_nix.config.sdk import CURRENT, PRERELEASE
from cog_nix.errors import ConfigError, UnreadableFileError
from cog_nix.lock import format as lock_format
from cog_nix.project.find import find_project
from cog_nix.resolve.ensure import sdk_version as locked_version
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from cog_nix.cli.session import Session
    from cog_nix.config.model import Config, Project
    from cog_nix.report import Reporter


@dataclass(frozen=True, kw_only=True)
class _Options(ProjectOptions):
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="FILE", help="Compare with a file; exit 1 when it differs."),
    ] = None


def schema(session: Session, options: _Options) -> None:
    """Print the OpenAPI document that the image will have."""
    project = find_project(Path.cwd(), options.config_file)
    config = load(project, session.plugins, session.reporter)[0].config
    document = read_api(project, config, document_of_environment()).document(_sdk_version(project, config))
    if options.check is None:
        write_stdout(document)
        return
    difference = _compare(document, options.check, session.reporter)
    if difference:
        typer.echo(difference)
        raise ConfigError(
            f"{options.check} is not the OpenAPI document of this model.",
            hint=f"cog-nix schema > {options.check}",
        )


def _sdk_version(project: Project, config: Config) -> str:
    """Return the version that the document names: what is locked, asked for, or else Cog's current one.

    Raises:
        LockError: there is a lock that cannot be read.
    """
    lock = lock_format.read(project.lock_path, project.platform)
    if lock:
        return locked_version(lock)
    asked = config.build.sdk_version
    return asked if asked and asked != PRERELEASE else sdk_for(config.build.python_version) or CURRENT


def _compare(document: str, path: Path, reporter: Reporter) -> str:
    """Return how a file differs from a document, as a unified diff; empty when both say the same.

    How a file is laid out does not count, nor the order of its keys.

    Raises:
        ConfigError: the file cannot be read, or holds no JSON.
    """
    try:
        text = path.read_bytes().decode()
        there = jsonvalue.loads(text)
    except OSError as error:
        raise UnreadableFileError(path, error, hint=f"Write it with:  cog-nix schema > {path}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not JSON: {error}", hint=f"Write it with:  cog-nix schema > {path}"
        ) from error
    here = jsonvalue.loads(document)
    if _same(here, there):
        if text != document:
            reporter.info(f"{path} has the same document, written differently")
        return ""
    return "\n".join(
        difflib.unified_diff(_lines(there), _lines(here), str(path), "this model", lineterm="", n=3)
    )


def _same(left: Any, right: Any) -> bool:
    """Compare JSON values: 1 is 1.0, and true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _lines(value: Any) -> list[str]:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines()
