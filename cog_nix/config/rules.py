"""What the schema cannot say: versions that exist, keys that exclude each other, files that must be there.

Every rule looks at one part of the document, tolerates that it may have the wrong type (the schema tells
that), and yields all it finds. The rules and the words that people search for are upstream's.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.config import environment, frameworks, legacy
from cog_nix.config.complete import read_requirements
from cog_nix.config.gpu import (
    DEFAULT_CUDA,
    MINIMUM_CUDA_MAJOR,
    GpuError,
    UnknownReleaseError,
    derive,
)
from cog_nix.config.problem import Problem
from cog_nix.config.weights import weight_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.config.document import Document

MINIMUM_PYTHON = (3, 10)
MINIMUM_PYTHON_FOR_CONCURRENCY = (3, 11)

_RATIO_SAMPLERS = {"traceidratio", "parentbased_traceidratio"}
_RESERVED_HEADERS = {"authorization", "cookie", "host", "traceparent", "tracestate"}


def rule_problems(document: Document, root: Path, *, references: bool) -> list[Problem]:
    """Return what is wrong with a document beyond its keys and types.

    Args:
        document: the parsed file.
        root: the project, where the files it names are looked for.
        references: whether the files of ``run:``, ``predict:`` and ``train:`` must exist.
    """
    return [
        *_references(document, root if references else None),
        *_python(document, root),
        *_packages(document, root),
        *_cuda(document, root),
        *_gpu(document, root),
        *_environment(document),
        *_concurrency(document, root),
        *_observability(document, root),
        *_model(document),
        *weight_problems(document),
    ]


def _references(document: Document, root: Path | None) -> Iterator[Problem]:
    if document.value(str, "run") is not None and document.value(str, "predict") is not None:
        line = document.line("predict")
        yield Problem(
            line,
            "invalid run: only one of run or predict can be set",
            "Keep run: and remove predict:, its older name.",
        )
        return
    for key, example in (
        ("run", "run.py:Runner"),
        ("predict", "predict.py:Predictor"),
        ("train", "train.py:Trainer"),
    ):
        reference = document.value(str, key)
        if reference:
            yield from _reference(document, key, reference, example, root)


def _reference(
    document: Document, key: str, reference: str, example: str, root: Path | None
) -> Iterator[Problem]:
    line = document.line(key)
    file, colon, name = reference.partition(".py:")
    if not colon or not file or not name or ".py:" in name:
        fix = f"Write: {key}: {reference}:{example.partition(':')[2]}" if reference.endswith(".py") else ""
        yield Problem(line, f"invalid {key} \"{reference}\": must be in the form '{example}'", fix)
        return
    path = f"{file}.py"
    if root is None or (root / path).is_file():
        return
    if Path(path).is_absolute() or ".." in Path(path).parts:
        yield Problem(
            line,
            f"{path} is outside of the project",
            "Only files of the project's folder get into the image.",
        )
        return
    yield Problem(line, f"there is no file {path} in {root}", _similar(path, root, name))


def _similar(path: str, root: Path, name: str) -> str:
    folder = root / Path(path).parent
    here = sorted(p.relative_to(root).as_posix() for p in folder.glob("*.py")) if folder.is_dir() else []
    match = difflib.get_close_matches(path, here, n=1, cutoff=0.5)
    if match:
        return f'Did you mean "{match[0]}:{name}"?'
    return f"Python files here: {', '.join(here[:8])}" if here else f"Create {path}, with {name} in it."


def _python(document: Document, root: Path) -> Iterator[Problem]:
    version = document.value(str, "build", "python_version")
    if version is None:
        return
    line = document.line("build", "python_version")
    prefix = f'invalid build.python_version "{version.strip()}"'
    example = 'For example: python_version: "3.13"'
    match = re.match(r"([^.]*)(?:\.([^.]*))?", version.strip())
    major, minor = (match[1], match[2]) if match else ("", None)
    least = ".".join(map(str, MINIMUM_PYTHON))
    if not version.strip():
        yield Problem(line, "python_version is required", example)
    elif minor is None:
        yield Problem(line, f"{prefix}: must include major and minor version", example)
    elif not (major.isascii() and major.isdecimal()):
        yield Problem(line, f"{prefix}: invalid major version number", example)
    elif not (minor.isascii() and minor.isdecimal()):
        yield Problem(line, f"{prefix}: invalid minor version number", example)
    elif (int(major), int(minor)) < MINIMUM_PYTHON:
        sdk = legacy.sdk_for(version)
        if legacy.is_taken(version, root):
            yield from legacy.problems(document, version.strip())
            return
        if minor == "1":
            fix = 'If you mean 3.10, write it in quotes: python_version: "3.10"'
        else:
            fix = frameworks.newer_python(least, _pins(document, root))
        if sdk:
            fix += legacy.OPT_IN.format(sdk=sdk)
        yield Problem(line, f"{prefix}: minimum supported Python version is {least}", fix)


def _packages(document: Document, root: Path) -> Iterator[Problem]:
    name = document.value(str, "build", "python_requirements")
    if not name:
        return
    line = document.line("build", "python_requirements")
    if document.value(list, "build", "python_packages"):
        what = "invalid build: only one of python_packages or python_requirements can be set, not both"
        yield Problem(line, what, f"Move the packages into {name}, and remove python_packages.")
    if not _exists(root, name):
        here = sorted(p.relative_to(root).as_posix() for p in root.glob("*.txt"))
        match = difflib.get_close_matches(name, here, n=1, cutoff=0.5)
        fix = f'Did you mean "{match[0]}"?' if match else f"Create {name} in {root}, or name another file."
        yield Problem(line, f'invalid build.python_requirements "{name}": file does not exist', fix)


def _cuda(document: Document, root: Path) -> Iterator[Problem]:
    version = document.value(str, "build", "cuda")
    if not version:
        return
    line = document.line("build", "cuda")
    gpu = document.value(bool, "build", "gpu")
    parts = version.split(".")
    prefix = f'invalid build.cuda "{version}"'
    if len(parts) < 2:  # noqa: PLR2004 - major and minor
        yield Problem(
            line,
            f"{prefix}: must include both major and minor versions",
            f'For example: cuda: "{parts[0]}.8"',
        )
    elif not all(part.isascii() and part.isdecimal() for part in (parts[:2] if gpu else parts[:1])):
        yield Problem(line, f"{prefix}: invalid version number", 'For example: cuda: "12.4"')
    elif int(parts[0]) < MINIMUM_CUDA_MAJOR:
        what = f"{prefix}: minimum supported CUDA version is {MINIMUM_CUDA_MAJOR}"
        yield Problem(line, what, _without_cuda(document, root))


def _without_cuda(document: Document, root: Path) -> str:
    """Return what to write for a CUDA version that is too old: nothing, where the packages tell another."""
    try:
        derive(None, None, _pins(document, root), _usable_python(document, root))
    except GpuError:
        return f'Write: cuda: "{DEFAULT_CUDA}"'
    return "Remove the line to take the version that fits your packages."


def _usable_python(document: Document, root: Path) -> str:
    """Return major and minor of the Python that a project has, or has to have; "" where it names none."""
    version = document.value(str, "build", "python_version") or ""
    match = re.match(r"(\d+)\.(\d+)", version, re.ASCII)
    if match and legacy.is_taken(version, root):
        return match[0]
    return ".".join(map(str, max((int(match[1]), int(match[2])), MINIMUM_PYTHON))) if match else ""


def _pins(document: Document, root: Path) -> list[str]:
    name = document.value(str, "build", "python_requirements") or ""
    if name and not _exists(root, name):
        return []
    return [line.text for line in read_requirements(document, root)[0]]


def _gpu(document: Document, root: Path) -> Iterator[Problem]:
    """Look into the requirements: can they be installed, and do their pins fit the CUDA version?"""
    name = document.value(str, "build", "python_requirements") or ""
    if name and not _exists(root, name):
        return
    lines, problems = read_requirements(document, root)
    yield from problems
    if not document.value(bool, "build", "gpu") or any(_cuda(document, root)):
        return
    cuda, cudnn = (document.value(str, "build", key) for key in ("cuda", "cudnn"))
    try:
        derive(cuda, cudnn, [line.text for line in lines], _usable_python(document, root))
    except GpuError as error:
        # A package whose name begins like it (cuda-python) is another one.
        pin = next((line for line in lines if re.match(rf"{error.subject}(?![\w.-])", line.text)), None)
        fix = error.fix
        if isinstance(error, UnknownReleaseError):
            fix = frameworks.other_release(error, _usable_python(document, root))
        if pin:
            yield Problem(pin.number, error.text, fix, name=name)
        else:
            yield Problem(document.line("build", error.subject), error.text, fix)


def _exists(root: Path, name: str) -> bool:
    return "\0" not in name and (root / name).exists()


def _environment(document: Document) -> Iterator[Problem]:
    lines = document.value(list, "environment") or []
    for position, what, fix in environment.problems(
        [line if isinstance(line, str) else "A=" for line in lines]
    ):
        yield Problem(document.line("environment", position), what, fix)


def _concurrency(document: Document, root: Path) -> Iterator[Problem]:
    maximum = document.value(int, "concurrency", "max")
    if maximum is None:
        return
    line = document.line("concurrency", "max")
    if maximum < 1:
        yield Problem(
            line, f'invalid concurrency.max "{maximum}": must be at least 1', "Remove it, or write: max: 1"
        )
    version = (document.value(str, "build", "python_version") or "").strip()
    numbers = re.match(r"(\d+)\.(\d+)", version, re.ASCII)
    oldest = MINIMUM_PYTHON if not legacy.is_taken(version, root) else (0, 0)
    if (
        maximum > 1
        and numbers
        and oldest <= (int(numbers[1]), int(numbers[2])) < MINIMUM_PYTHON_FOR_CONCURRENCY
    ):
        least = ".".join(map(str, MINIMUM_PYTHON_FOR_CONCURRENCY))
        what = f'invalid concurrency.max "{maximum}": concurrency requires Python {least} or higher'
        yield Problem(line, what, f'Write: python_version: "{least}"')


def _observability(document: Document, root: Path) -> Iterator[Problem]:
    traces = document.value(dict, "observability", "traces")
    config = document.value(str, "observability", "config")
    if config is not None:
        trouble = _tracing_file(config, root)
        line = document.line("observability", "config")
        if trouble:
            yield Problem(
                line, f'invalid observability.config "{config}": {trouble}', "Name a file such as tracing.py."
            )
        if not (traces or {}).get("enabled"):
            what = (
                f'invalid observability.config "{config}": requires observability.traces.enabled to be true'
            )
            yield Problem(line, what, "Write:\ntraces:\n  enabled: true")
    if traces is not None:
        yield from _traces(document)


def _tracing_file(config: str, root: Path) -> str:
    parts = config.split("/")
    if not config or config.startswith("/") or "\0" in config or {".", ".."} & set(parts):
        return "must be a project-relative Python file"
    if not config.endswith(".py"):
        return "must be a Python file ending in .py"
    path = root / config
    if not path.exists():
        return "file does not exist"
    if not path.resolve().is_relative_to(root.resolve()):
        return "must resolve inside the project directory"
    return "" if path.is_file() else "must be a regular file"


def _traces(document: Document) -> Iterator[Problem]:
    at = ("observability", "traces")
    sampler = document.value(str, *at, "sampler") or "parentbased_always_off"
    argument = document.value(str, *at, "sampler_arg")
    prefix = "invalid observability.traces.sampler_arg"
    shown = f'{prefix} "{argument}"'
    line, example = document.line(*at, "sampler_arg"), 'For example: sampler_arg: "0.1"'
    if argument is None and sampler in _RATIO_SAMPLERS:
        yield Problem(document.line(*at, "sampler"), f"{prefix}: is required for ratio samplers", example)
    elif argument is not None and sampler not in _RATIO_SAMPLERS:
        yield Problem(line, f"{shown}: is only valid for ratio samplers", "Remove it.")
    elif argument is not None and not _is_ratio(argument):
        yield Problem(line, f"{shown}: must be a number between 0 and 1", example)
    header = document.value(str, *at, "trace_header")
    if header is not None and (
        not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", header) or header.lower() in _RESERVED_HEADERS
    ):
        what = f'invalid observability.traces.trace_header "{header}": '
        what += "must be a valid, non-reserved HTTP header name"
        yield Problem(document.line(*at, "trace_header"), what, "For example: trace_header: x-trace")


def _is_ratio(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _model(document: Document) -> Iterator[Problem]:
    model = document.value(str, "model")
    if not model:
        return
    line = document.line("model")
    if document.value(str, "image"):
        yield Problem(line, "'model' and 'image' cannot both be set", "Keep one of the two.")
    head, slash, rest = model.partition("/")
    registry = head if slash and (any(c in head for c in ".:") or head == "localhost") else ""
    repository = rest if registry else model
    bare = re.sub(r"(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$", "", repository, flags=re.ASCII)
    if not re.fullmatch(r"[a-z0-9_\-./]{2,255}", bare):
        what = f'invalid model "{model}": invalid repository'
        yield Problem(
            line,
            what,
            "Use lower-case letters, digits, and - _ . / for example registry.example.org/you/model",
        )
    elif bare != repository:
        what = f'invalid model "{model}": must be a bare repository — tags and digests are not allowed'
        yield Problem(line, what, f"Write: model: {os.path.join(registry, bare)}")  # noqa: PTH118 - no path
