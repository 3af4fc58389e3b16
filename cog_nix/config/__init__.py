"""From cog.yaml to a :class:`~cog_nix.config.model.Config`, and from cog-nix.toml to ``Settings``.

``load_config`` is the way in. Its steps can be had one by one where only some are wanted: :func:`parse` reads
the text, :func:`validate` finds all that is wrong, :func:`complete` makes the frozen value. ``parse`` and
``complete`` need nothing beyond PyYAML, since they also run inside a Nix build on text that was validated
outside.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.config.complete import DEFAULT_PYTHON, complete, requirement_lines, with_python_version
from cog_nix.config.document import Document, parse
from cog_nix.config.label import with_concurrency
from cog_nix.config.problem import config_error
from cog_nix.config.settings import load_settings
from cog_nix.errors import ConfigError, UnreadableFileError
from cog_nix.system.regular import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.config.model import Config, Project

__all__ = [
    "DEFAULT_PYTHON",
    "Document",
    "Loaded",
    "complete",
    "load",
    "load_config",
    "load_settings",
    "parse",
    "read_document",
    "requirement_lines",
    "validate",
    "with_concurrency",
]


@dataclass(frozen=True)
class Loaded:
    """A configuration, and what should be said about it."""

    config: Config
    document: Document
    """For the lines that later errors point to."""
    warnings: tuple[str, ...]


def load_config(project: Project) -> Config:
    """Read, validate and complete a project's configuration.

    Args:
        project: what :func:`~cog_nix.project.find.find_project` found.

    Raises:
        ConfigError: tells everything that is wrong with the file, each with line and remedy.
    """
    return load(project).config


def load(project: Project, *, references: bool = True) -> Loaded:
    """Read a project's configuration, together with its warnings.

    Args:
        project: whose.
        references: whether the files of ``run:``, ``predict:`` and ``train:`` must exist.

    Raises:
        ConfigError: tells everything that is wrong with the file, each with line and remedy.
    """
    from cog_nix.config.deprecations import deprecations  # noqa: PLC0415 - builds, where parts run, go without

    document = read_document(project)
    validate(document, project.root, state_dir=project.shared_state_dir, references=references)
    return Loaded(complete(document, project.root), document, deprecations(document, project.root))


def read_document(project: Project) -> Document:
    """Read a project's configuration as it is written, without looking at what its keys say.

    Raises:
        ConfigError: it cannot be read, or is not YAML.
    """
    name = _name(project)
    _check_inside(project, name)
    try:
        text = read_bytes(project.config_path).decode("utf-8")
    except OSError as error:
        raise UnreadableFileError(name, error, hint="Check that the file is there.") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: this is not UTF-8 text", hint="Save the file as UTF-8.") from error
    return parse(text, name)


def validate(
    document: Document, root: Path, *, state_dir: Path | None = None, references: bool = True
) -> None:
    """Check a document against the schema and the rules.

    Args:
        document: the parsed file.
        root: the project's folder.
        state_dir: where to remember a text that passed the schema.
        references: whether the files of ``run:``, ``predict:`` and ``train:`` must exist.

    Raises:
        ConfigError: tells everything that is wrong.
    """
    from cog_nix.config.rules import rule_problems  # noqa: PLC0415 - builds, where parts run, go without
    from cog_nix.config.schema import schema_problems, unknown_keys  # noqa: PLC0415 - as above

    whole = with_python_version(document, root)
    problems = [
        *document.problems,
        # What is remembered of a text is no use where other files decide as well.
        *schema_problems(whole, state_dir if whole is document else None),
        *rule_problems(whole, root, references=references),
    ]
    if problems:  # a misspelt key is then the likely cause; by itself it is a warning
        problems += unknown_keys(document)
        raise config_error(document.name, document.text, problems)


def _check_inside(project: Project, name: str) -> None:
    """Refuse a link to a file elsewhere: a build sees the project and nothing else."""
    path = project.config_path
    if path.is_symlink():
        with suppress(OSError, RuntimeError):  # a circle is told when it is read
            if not path.resolve(strict=True).is_relative_to(project.root.resolve()):
                raise ConfigError(
                    f"{name}: this link leads out of the project, to {path.readlink()}",
                    hint="Copy the file into the project: a build sees nothing else.",
                )


def _name(project: Project) -> str:
    """Return the configuration file as the user knows it."""
    path = project.config_path
    return path.relative_to(project.root).as_posix() if path.is_relative_to(project.root) else str(path)
