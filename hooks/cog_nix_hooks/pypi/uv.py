"""uv's command line: what is asked, for which image, and where answers lie."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.system import processes, scratch
from cog_nix.system.platforms import AMD64, Platform
from cog_nix.system.processes import redact
from cog_nix_hooks.pypi.errors import PackageError
from cog_nix_hooks.pypi.indexes import uv_files
from cog_nix_hooks.pypi.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cog_nix_hooks.pypi.lines import Lines

_GLIBC_MINORS = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)
"""The C libraries that uv knows a platform for (``x86_64-manylinux_2_N``, ``aarch64-manylinux_2_N``)."""


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
    placeholders: Path | None = None
    """Constraints that put empty packages in the place of heavy ones, in builds for metadata alone."""
    metadata: tuple[Stated, ...] = ()
    """What is known about packages whose metadata cannot be built here."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Versions that may not be others, by name, whether or not they are asked for."""
    platform: Platform = AMD64
    """The image's."""
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
        stderr: what it said, credentials taken out.
    """

    def __init__(self, stderr: str) -> None:
        super().__init__(stderr)
        self.stderr = stderr

    @property
    def output(self) -> Output:
        """What it said, as values."""
        return Output.parse(self.stderr)


def compile_pylock(
    question: Question,
    pins: Mapping[str, str],
    folder: Path,
    log: Callable[[str], None],
    *,
    offline: bool = False,
) -> Path:
    """Resolve; return the path of a ``pylock.toml`` (PEP 751).

    Args:
        question: what to resolve.
        pins: versions to keep where they fit: uv prefers what the output file holds already.
        folder: an empty folder, or the one of a former try.
        log: gets each line of uv's narration.
        offline: whether to go by what uv has kept of the index, of whatever day.

    Raises:
        UvError: uv failed.
    """
    output = folder / "pylock.toml"
    packages = "".join(
        f'[[packages]]\nname = "{name}"\nversion = "{version}"\n' for name, version in sorted(pins.items())
    )
    output.unlink(missing_ok=True)
    if packages:
        output.write_text(f'lock-version = "1.0"\ncreated-by = "cog-nix"\n{packages}', encoding="utf-8")
    options = ("--format", "pylock.toml", "--output-file", str(output), *(("--offline",) if offline else ()))
    _compile(question, options, folder, log)
    return output


def compile_annotated(question: Question, pins: Mapping[str, str], folder: Path) -> str:
    """Resolve to the same versions; return a requirements file that says who requires each.

    uv leaves ``dependencies`` out of its pylock.toml, which makes the second run necessary. All metadata are
    in uv's cache, where it looks without asking the index whether they still hold: that costs a request for
    each, and a build for each source, where an index says of nothing that it may be kept.

    Raises:
        UvError: uv failed.
    """
    output = folder / "requirements.txt"
    lines = "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))
    options = ("--annotation-style", "line", "--no-header", "--output-file", str(output))
    output.write_text(lines, encoding="utf-8")
    try:
        _compile(question, (*options, "--offline"), folder)
    except UvError:  # another process has emptied the cache, say
        _compile(question, options, folder)
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
    output = folder / "pylock.toml"
    lines = question.lines
    command = [
        *("export", "--frozen", "--format", "pylock.toml", "--output-file", str(output)),
        *("--no-emit-workspace", "--no-default-groups", "--python", sys.executable),
        *(word for extra in lines.extras for word in ("--extra", extra)),
        *(word for group in lines.groups for word in ("--group", group)),
    ]
    _run(question, command, project, log)
    return output


def newest(question: Question, package: str, folder: Path) -> str:
    """Return the newest version of a package that fits; what uv keeps of its index is asked for anew.

    Raises:
        UvError: uv failed.
    """
    output = folder / "requirements.txt"
    options = ("--no-deps", "--no-annotate", "--no-header", "--refresh-package", package)
    _compile(question, (*options, "--output-file", str(output)), folder)
    return output.read_text(encoding="utf-8").partition("==")[2].split()[0]


def nearest(question: Question, package: str, version: str, folder: Path) -> str:
    """Return the release that comes next to one that no index has, a later one first; "" where it has none.

    Args:
        question: what the one that is not there was asked for in.
        package: normalised name.
        version: of the one that is not there; "": the newest release is returned.
        folder: an empty folder.
    """
    output = folder / "requirements.txt"
    options = ("--no-deps", "--no-annotate", "--no-header", "--output-file", str(output))
    for relation, which in ((">", "lowest"), ("<", "highest")) if version else (("", "highest"),):
        line = f"{package}{relation}{version.partition('+')[0]}"
        lines = replace(question.lines, requirements=(line,), projects=())
        try:
            _compile(replace(question, lines=lines, fixed={}), ("--resolution", which, *options), folder)
        except UvError:
            continue
        return output.read_text(encoding="utf-8").partition("==")[2].split()[0]
    return ""


def indexes(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the URLs of the indexes that uv would ask, in its order; nothing is asked.

    Args:
        env: its environment.

    Raises:
        UvError: its configuration cannot be used.
    """
    import uv  # noqa: PLC0415 - as below

    options = ("--emit-index-url", "--no-header", "--offline", "--python", sys.executable)
    with scratch.folder("uv") as folder:
        command = [uv.find_uv_bin(), "pip", "compile", "-", *options]
        said = processes.run(command, env=env, cwd=folder, stdin="\n", check=False)
    if said.returncode != 0:
        raise UvError(redact(said.stderr))
    named = [line.split(maxsplit=1) for line in said.stdout.splitlines() if line.startswith("--")]
    of_kind = {kind: [words[1] for words in named if words[0] == kind] for kind, *_ in named}
    return (*of_kind.get("--extra-index-url", ()), *of_kind.get("--index-url", ()))


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
        with scratch.folder("uv") as folder:
            _compile(probe, ("--no-deps", "--quiet"), folder)
    except UvError as error:
        return error.output.index_failure
    return ""


def platform_name(platform: Platform, glibc: str) -> str:
    """Return uv's name of a platform with a C library (PEP 600).

    Raises:
        PackageError: uv knows no platform that old.
    """
    major, _, minor = glibc.partition(".")
    fitting = [known for known in _GLIBC_MINORS if known <= int(minor)] if major == "2" else []
    if not fitting:
        raise PackageError(
            f"there are no wheels for glibc {glibc}", hint="Use a base suite with glibc 2.17 or later."
        )
    return f"{platform.machine}-manylinux_2_{fitting[-1]}"


def _compile(
    question: Question, options: tuple[str, ...], folder: Path, log: Callable[[str], None] = lambda _: None
) -> None:
    lines = question.lines
    command = [
        *("pip", "compile", "-", *lines.projects, *options, *_files(question, folder)),
        *(word for extra in lines.extras if lines.projects for word in ("--extra", extra)),
        *(word for at in lines.projects for group in lines.groups for word in ("--group", f"{at}:{group}")),
        *("--python", question.python, "--python-version", question.python_version),
        *("--python-platform", platform_name(question.platform, question.glibc)),
        *(("--torch-backend", question.torch_backend) if question.torch_backend else ()),
        *(("--no-build",) if not question.builds else ()),
        *(("--build-constraint", str(question.placeholders)) if question.placeholders else ()),
        *(word for name in lines.no_binary if question.builds for word in ("--no-binary", name)),
        *(word for name in lines.only_binary if question.builds for word in ("--only-binary", name)),
        *(word for place in lines.find_links for word in ("--find-links", place)),
        *(("--no-index",) if lines.no_index else ()),
        *(("--prerelease", "allow") if lines.pre else ()),
        *(("--exclude-newer", question.exclude_newer) if question.exclude_newer else ()),
    ]
    _run(question, command, question.project_root, log, stdin="\n".join(lines.requirements) + "\n")


def _run(
    question: Question, command: list[str], cwd: Path, log: Callable[[str], None], stdin: str = ""
) -> None:
    import uv  # noqa: PLC0415 - only locking needs it

    secrets = question.lines.secrets
    finished = processes.run(
        [uv.find_uv_bin(), *command],
        env=question.env,
        cwd=cwd,
        stdin=stdin,
        check=False,
        secrets=secrets,
        on_stderr=log,
    )
    if finished.returncode != 0:
        raise UvError(redact(finished.stderr, secrets))


def _files(question: Question, folder: Path) -> Iterator[str]:
    """Write what uv takes from files alone; yield the options that name them."""
    if question.fixed:  # pip, "Constraints Files"
        file = folder / "constraints.txt"
        pairs = sorted(question.fixed.items())
        file.write_text("".join(f"{name}=={version}\n" for name, version in pairs), "utf-8")
        yield from ("--constraint", str(file))
    if question.metadata:
        # A file that is named takes the place of the user's own, so what that says comes first.
        own = next(filter(Path.is_file, reversed(list(uv_files(question.env)))), None)
        # JSON's strings and lists of strings are TOML's.
        stated = "".join(
            f"[[dependency-metadata]]\nname = {json.dumps(one.name)}\n"
            f"version = {json.dumps(one.version)}\nrequires-dist = {json.dumps(one.requires)}\n"
            for one in question.metadata
        )
        file = folder / "uv.toml"
        file.write_text((f"{own.read_text(encoding='utf-8')}\n" if own else "") + stated, encoding="utf-8")
        yield from ("--config-file", str(file))
