"""Python packages that nobody named: those that bring libraries which other packages link to or load.

NVIDIA's CUDA is the case in point. Which package brings what is a plugin's knowledge; here is found what is
missing. See docs/design/cuda.md.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from cog_nix.elf.names import named_in_wheel
from cog_nix.errors import LockError
from cog_nix.lock.libraries import Answer, everywhere, is_self_contained, scans_of, unmet, with_dependencies
from cog_nix.plugins import Plugins, ask
from cog_nix.spec import FoundRequirement, LibraryNeed, PythonLibraryRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.config.model import Config
    from cog_nix.lock.model import Wheel
    from cog_nix.report import Reporter
    from cog_nix.spec import Context, PythonRequest, PythonResolution


def resolve(
    request: PythonRequest,
    ask_python: Callable[[PythonRequest], PythonResolution],
    look: Callable[[Sequence[Wheel]], Sequence[FoundRequirement]],
    reporter: Reporter,
) -> tuple[PythonResolution, Answer]:
    """Resolve Python, and once more with each package that brings libraries which are missing.

    Args:
        request: what the project asks for.
        ask_python: resolves.
        look: :func:`find` for wheels.
        reporter: is told of packages that do not fit; the image goes without them.

    Returns:
        The packages, and why those are there that nobody asked for.

    Raises:
        LockError: what the project asks for cannot be satisfied.
    """
    found = ask_python(request)
    asked = {wheel.name for wheel in found.wheels}
    added: dict[str, str] = {}
    while True:
        new = {one.requirement: one.because for one in look(found.wheels) if one.requirement not in added}
        if not new:
            break
        settled = {wheel.name: wheel.version for wheel in found.wheels}
        lines = (*request.requirements, *added, *new)
        try:
            found = ask_python(replace(request, requirements=lines, pins={**request.pins, **settled}))
        except LockError as error:
            because = "; ".join(dict.fromkeys(new.values()))
            reporter.warn(
                f"{because}: {', '.join(new)} cannot be installed beside what the project asks for, so "
                f"the image goes without it: {error.message}"
            )
            break
        added |= new
    return found, _reasons(added, [wheel for wheel in found.wheels if wheel.name not in asked])


def _reasons(added: Mapping[str, str], new: Sequence[Wheel]) -> Answer:
    """Return why there are packages that the project did not ask for, without what they require."""
    required = {name for wheel in new for name in wheel.depends}
    by_name = {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]: because for line, because in added.items()}
    every = "; ".join(dict.fromkeys(added.values()))
    reasons = {wheel.name: by_name.get(wheel.name, every) for wheel in new if wheel.name not in required}
    return Answer(tuple(reasons), tuple(reasons.items()), tuple(reasons.items()))


def find(
    *,
    config: Config,
    wheels: Sequence[Wheel],
    project: Path,
    brought: Collection[str],
    plugins: Plugins,
    context: Context,
) -> tuple[FoundRequirement, ...]:
    """Find the Python packages that bring libraries which the others lack, in the order of their lines.

    Args:
        config: what is asked for; without a GPU only what files link to counts.
        wheels: all of the image's.
        project: its folder.
        brought: sonames of the interpreter's own libraries.
        plugins: who is asked.
        context: for hooks; where results are kept.

    Raises:
        LockError: a wheel cannot be read.
    """
    files = context.fetcher.artifacts([wheel.artifact for wheel in wheels if wheel.source is None])
    scans = scans_of(wheels, files, project, context.cache_dir)
    depends = {wheel.name: wheel.depends for wheel in wheels}
    met = frozenset(brought) | everywhere(scans)
    request = PythonLibraryRequest(
        config=config,
        wheels=tuple(wheels),
        needs=tuple(unmet(scans, depends, met)),
        named=tuple(_named(wheels, depends, files, met, context)) if config.build.gpu else (),
    )
    answers = ask(plugins, "find_python_libraries", request=request, context=context)
    found = {each.requirement: each for answer in reversed(answers) for each in answer or ()}
    return tuple(found[requirement] for requirement in sorted(found))


def _named(
    wheels: Sequence[Wheel],
    depends: Mapping[str, Sequence[str]],
    files: Mapping[str, Path],
    met: Collection[str],
    context: Context,
) -> Iterator[LibraryNeed]:
    """Yield what wheels name as text and nothing has.

    A package that requires self-contained ones has chosen its libraries itself.
    """
    for wheel in wheels:
        chosen = any(map(is_self_contained, with_dependencies(wheel.name, depends)))
        if wheel.source is None and not chosen:
            sha256 = wheel.artifact.sha256
            for path, name in named_in_wheel(files[sha256], sha256, context.cache_dir / "elf"):
                if name not in met:
                    yield LibraryNeed(wheel.name, path, name)
