"""uv's command line: what is asked, for which image, and where answers lie."""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.errors import LockError
from cog_nix.system import processes
from cog_nix.system import scratch as temporary
from cog_nix.system.processes import redact
from cog_nix_hooks.pypi.indexes import uv_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cog_nix_hooks.pypi.lines import Lines

_GLIBC_MINORS = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)
"""The C libraries that uv knows a platform for (``x86_64-manylinux_2_N``)."""

_SERVED = re.compile(r"No solution found(?!.*torch was not found)", re.DOTALL)
"""uv has read an index's page. Where access is refused or a page is missing, it finds no torch."""


@dataclass(frozen=True)
class Question:
    """A resolution to ask uv for."""

    lines: Lines
    python_version: str
    glibc: str
    project_root: Path
    env: Mapping[str, str]
    python: str
    """The Python that builds run with."""
    exclude_newer: str | None = None
    builds: bool = True
    """Whether distributions that come as source alone may be chosen."""
    metadata: tuple[Stated, ...] = ()
    """What is known about packages whose metadata cannot be built here."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Versions that may not be others, by name, whether or not they are asked for."""
    torch_backend: str = ""
    """The index of PyTorch's to take its packages from, as uv has it; "": they come as any other."""


@dataclass(frozen=True)
class Stated:
    """Metadata of a package, as far as it is written down in its source."""

    name: str
    version: str
    requires: tuple[str, ...]


class UvError(Exception):
    """uv failed.

    Args:
        stderr: what it said; may hold credentials.
    """

    def __init__(self, stderr: str) -> None:
        super().__init__(stderr)
        self.stderr = stderr


def compile_pylock(
    question: Question, pins: Mapping[str, str], folder: Path, log: Callable[[str], None]
) -> Path:
    """Resolve; return the path of a ``pylock.toml`` (PEP 751).

    Args:
        question: what to resolve.
        pins: versions to keep where they fit: uv prefers what the output file holds already.
        folder: an empty folder.
        log: gets each line of uv's narration.

    Raises:
        UvError: uv failed.
    """
    output = folder / "pylock.toml"
    packages = "".join(
        f'[[packages]]\nname = "{name}"\nversion = "{version}"\n' for name, version in sorted(pins.items())
    )
    if packages:
        output.write_text(f'lock-version = "1.0"\ncreated-by = "cog-nix"\n{packages}', encoding="utf-8")
    _compile(question, ("--format", "pylock.toml", "--output-file", str(output)), log)
    return output


def compile_annotated(question: Question, pins: Mapping[str, str], folder: Path) -> str:
    """Resolve to the same versions; return a requirements file that says who requires each.

    uv leaves ``dependencies`` out of its pylock.toml, which makes the second run necessary. It finds all
    metadata in uv's cache.

    Raises:
        UvError: uv failed.
    """
    output = folder / "requirements.txt"
    lines = "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))
    output.write_text(lines, encoding="utf-8")
    options = ("--annotation-style", "line", "--no-header", "--output-file", str(output))
    _compile(question, options, lambda _: None)
    return output.read_text(encoding="utf-8")


def export_pylock(question: Question, project: Path, folder: Path, log: Callable[[str], None]) -> Path:
    """Return the path of a ``pylock.toml`` (PEP 751) with what a ``uv.lock`` holds; no network is used.

    Args:
        question: for its extras, groups and environment.
        project: the folder of ``uv.lock``.
        folder: an empty folder.
        log: gets each line of uv's narration.

    Raises:
        UvError: uv failed.
    """
    import uv  # noqa: PLC0415 - only locking needs it

    output = folder / "pylock.toml"
    lines = question.lines
    command = [
        *(uv.find_uv_bin(), "export", "--frozen", "--format", "pylock.toml", "--output-file", str(output)),
        *("--no-emit-workspace", "--no-default-groups", "--python", sys.executable),
        *(word for extra in lines.extras for word in ("--extra", extra)),
        *(word for group in lines.groups for word in ("--group", group)),
    ]
    finished = processes.run(
        command,
        env={**question.env, "UV_PYTHON_DOWNLOADS": "never"},
        cwd=project,
        check=False,
        secrets=lines.secrets,
        on_stderr=log,
    )
    if finished.returncode != 0:
        raise UvError(finished.stderr)
    return output


def newest(question: Question, package: str, folder: Path) -> str:
    """Return the newest version of a package that fits; what uv keeps of its index is asked for anew.

    Raises:
        UvError: uv failed.
    """
    output = folder / "requirements.txt"
    options = ("--no-deps", "--no-annotate", "--no-header", "--refresh-package", package)
    _compile(question, (*options, "--output-file", str(output)), lambda _: None)
    return output.read_text(encoding="utf-8").partition("==")[2].split()[0]


def torch_index_failure(question: Question) -> str:
    """Ask the index of PyTorch's whether it is there; return why not, "" when it is.

    The lock can do without it in most cases, so one that is out of reach must not take minutes: few tries,
    and less patience than uv has otherwise.

    Args:
        question: with a ``torch_backend``.
    """
    impatient = {"UV_HTTP_CONNECT_TIMEOUT": "5", "UV_HTTP_TIMEOUT": "15"}
    env = {"UV_HTTP_RETRIES": "1", **question.env, **impatient}
    probe = replace(question, lines=replace(question.lines, requirements=("torch",)), env=env, metadata=())
    try:
        _compile(probe, ("--no-deps", "--quiet"), lambda _: None)
    except UvError as error:
        text = redact(error.stderr, question.lines.secrets)
        if "invalid value" in text:
            return "this uv does not know it"
        if _SERVED.search(text):
            return ""  # it answered; what is in it does not fit, which the resolution will tell
        lines = text.strip().splitlines() or ["no answer"]
        return lines[-1].strip().removeprefix("cause: ")
    return ""


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder for uv's outputs, and remove it."""
    with temporary.folder("uv") as folder:
        yield folder


def platform(glibc: str) -> str:
    """Return uv's name of the platform for a C library (PEP 600).

    Raises:
        LockError: uv knows no platform that old.
    """
    major, _, minor = glibc.partition(".")
    fitting = [known for known in _GLIBC_MINORS if known <= int(minor)] if major == "2" else []
    if not fitting:
        raise LockError(
            f"there are no wheels for glibc {glibc}", hint="Use a base suite with glibc 2.17 or later."
        )
    return f"x86_64-manylinux_2_{fitting[-1]}"


def _compile(question: Question, options: tuple[str, ...], log: Callable[[str], None]) -> None:
    import uv  # noqa: PLC0415 - only locking needs it

    lines = question.lines
    with _configuration(question) as configuration, _constraints(question.fixed) as constraints:
        command = [
            *(uv.find_uv_bin(), "pip", "compile", "-", *lines.projects, *options),
            *(*configuration, *constraints),
            *(word for extra in lines.extras if lines.projects for word in ("--extra", extra)),
            *(
                word
                for path in lines.projects
                for group in lines.groups
                for word in ("--group", f"{path}:{group}")
            ),
            *("--python", question.python, "--python-version", question.python_version),
            *("--python-platform", platform(question.glibc)),
            *(("--torch-backend", question.torch_backend) if question.torch_backend else ()),
            *(("--no-build",) if not question.builds else ()),
            *(word for name in lines.no_binary if question.builds for word in ("--no-binary", name)),
            *(word for name in lines.only_binary if question.builds for word in ("--only-binary", name)),
            *(word for place in lines.find_links for word in ("--find-links", place)),
            *(("--no-index",) if lines.no_index else ()),
            *(("--prerelease", "allow") if lines.pre else ()),
            *(("--exclude-newer", question.exclude_newer) if question.exclude_newer else ()),
        ]
        finished = processes.run(
            command,
            env=question.env,
            cwd=question.project_root,
            stdin="\n".join(lines.requirements) + "\n",
            check=False,
            secrets=lines.secrets,
            on_stderr=log,
        )
    if finished.returncode != 0:
        raise UvError(finished.stderr)


@contextmanager
def _constraints(fixed: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Yield the option that keeps packages at versions (pip, "Constraints Files")."""
    if not fixed:
        yield ()
        return
    with scratch() as folder:
        file = folder / "constraints.txt"
        file.write_text("".join(f"{name}=={version}\n" for name, version in sorted(fixed.items())), "utf-8")
        yield ("--constraint", str(file))


@contextmanager
def _configuration(question: Question) -> Iterator[tuple[str, ...]]:
    """Yield the option that hands stated metadata to uv: it takes them from a configuration file only."""
    if not question.metadata:
        yield ()
        return
    with scratch() as folder, (folder / "uv.toml").open("w", encoding="utf-8") as file:
        # A file that is named takes the place of the user's own, so what that says comes first.
        own = next(filter(Path.is_file, reversed(list(uv_files(question.env)))), None)
        file.write(f"{own.read_text(encoding='utf-8')}\n" if own else "")
        for stated in question.metadata:
            # JSON's strings and lists of strings are TOML's.
            file.write(
                f"[[dependency-metadata]]\nname = {json.dumps(stated.name)}\n"
                f"version = {json.dumps(stated.version)}\nrequires-dist = {json.dumps(stated.requires)}\n"
            )
        file.flush()
        yield ("--config-file", file.name)
