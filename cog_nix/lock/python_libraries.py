"""Python packages that nobody named: those that bring libraries which other packages link to or load.

NVIDIA's CUDA is the case in point. Which package brings what is a plugin's knowledge; here is found what is
missing. See docs/design/cuda.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.elf.names import named_in_wheel
from cog_nix.lock.libraries import everywhere, is_self_contained, scans_of, unmet, with_dependencies
from cog_nix.plugins import Plugins, ask
from cog_nix.spec import FoundRequirement, LibraryNeed, PythonLibraryRequest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.config.model import Config
    from cog_nix.lock.model import Wheel
    from cog_nix.spec import Context


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
