"""Python packages that nobody named: those that bring libraries which other packages link to or load.

NVIDIA's CUDA is the case in point. Which package brings what is a plugin's knowledge; here is found what is
missing. Such a package is added beside what the project's own requirements come to, and never moves any of
that: see docs/design/libraries.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cog_nix.elf.facts import Depth
from cog_nix.elf.scan import DynamicFile, Scan
from cog_nix.errors import LockError
from cog_nix.lock.pins import commits_of
from cog_nix.plugins.manager import Plugins, ask
from cog_nix.plugins.spec import FoundRequirement, LibraryNeed, PythonLibraryRequest, PythonResolution
from cog_nix.resolve.libraries import (
    Answer,
    depth,
    depths,
    everywhere,
    scans_of,
    unmet,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.config.model import Config
    from cog_nix.lock.model import Wheel
    from cog_nix.plugins.spec import Context, PythonRequest
    from cog_nix.report import Reporter
    from cog_nix.resolve.wheel_facts import Read


def extend(
    request: PythonRequest,
    own: PythonResolution,
    ask_python: Callable[[PythonRequest], PythonResolution],
    look: Callable[[Sequence[Wheel]], Sequence[FoundRequirement]],
    reporter: Reporter,
) -> tuple[PythonResolution, Answer]:
    """Add packages that bring libraries which are missing; what does not fit is told and left out.

    Args:
        request: what the project asks for.
        own: what that comes to. All of it is in the result, as it is but for what it depends on.
        ask_python: resolves.
        look: :func:`find` for wheels.
        reporter: is told of packages that do not fit; the image goes without them.

    Returns:
        The packages, and why those are there that nobody asked for.
    """
    beside = _Beside(request, own, ask_python, reporter)
    found, added, tried = own, dict[str, str](), set[str]()
    while new := [one for one in look(found.wheels) if one.requirement not in tried]:
        tried.update(one.requirement for one in new)
        found, fitting = beside.added(found, tuple(added), new)
        added |= {one.requirement: one.because for one in fitting}
        _tell(reporter, [one for one in new if one not in fitting])
        if not fitting:
            break
    asked = {wheel.name for wheel in own.wheels}
    return found, _reasons(added, [wheel for wheel in found.wheels if wheel.name not in asked])


@dataclass(frozen=True)
class _Beside:
    """Resolves with more requirements, around packages that stay as they are."""

    request: PythonRequest
    own: PythonResolution
    ask_python: Callable[[PythonRequest], PythonResolution]
    reporter: Reporter

    def added(
        self, found: PythonResolution, before: tuple[str, ...], new: Sequence[FoundRequirement]
    ) -> tuple[PythonResolution, list[FoundRequirement]]:
        """Resolve with all of some requirements, or else with those of them that fit, one by one.

        Args:
            found: what there is so far.
            before: lines that brought it there, beyond the project's own.
            new: what is to be added.

        Returns:
            What it comes to, and the requirements that fit.
        """
        whole = self._resolve(found, (*before, *(one.requirement for one in new)))
        if whole:
            return whole, list(new)
        fitting: list[FoundRequirement] = []
        for one in new if len(new) > 1 else ():
            lines = (*before, *(each.requirement for each in fitting), one.requirement)
            if more := self._resolve(found, lines):
                found = more
                fitting.append(one)
        return found, fitting

    def _resolve(self, found: PythonResolution, lines: tuple[str, ...]) -> PythonResolution | None:
        """Resolve with more lines; None when they do not fit beside the project's own."""
        own = self.own.wheels
        request = replace(
            self.request,
            requirements=(*self.request.requirements, *lines),
            pins={**self.request.pins, **{wheel.name: wheel.version for wheel in found.wheels}},
            # What is named by its place stays by that; its version may be one that no index knows.
            fixed={wheel.name: wheel.version for wheel in own if not wheel.origin},
            commits={**self.request.commits, **commits_of(own)},
            reasons={**self.request.reasons, **self.own.reasons},
        )
        try:
            answer = self.ask_python(request)
        except LockError as error:
            self.reporter.log(error.message)
            return None
        by_name = {wheel.name: wheel for wheel in answer.wheels}
        for wheel in own:
            same = by_name.get(wheel.name)
            if same is None or same.artifact.sha256 != wheel.artifact.sha256:
                self.reporter.log(f"{', '.join(lines)} would change {wheel.name} {wheel.version}")
                return None
            by_name[wheel.name] = replace(wheel, depends=same.depends)
        return PythonResolution(
            tuple(by_name[wheel.name] for wheel in answer.wheels), answer.build_packages, self.own.reasons
        )


def _tell(reporter: Reporter, refused: Sequence[FoundRequirement]) -> None:
    """Say what is left out, and for whom it would have been, in one warning."""
    if refused:
        lines = ", ".join(one.requirement for one in refused)
        why = "; ".join(dict.fromkeys(one.because for one in refused))
        reporter.warn(f"Left out, since it does not fit beside what the project asks for: {lines} ({why})")


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
    read: Read,
    project: Path,
    brought: Collection[str],
    plugins: Plugins,
    context: Context,
) -> tuple[FoundRequirement, ...]:
    """Find the Python packages that bring libraries which the others lack, in the order of their lines.

    Args:
        config: what is asked for; without a GPU only what files link to counts.
        wheels: all of the image's.
        read: tells what is in one.
        project: its folder.
        brought: sonames of the interpreter's own libraries.
        plugins: who is asked.
        context: for hooks.

    Raises:
        LockError: a wheel cannot be read.
    """
    scans = scans_of(wheels, read, project)
    depends = {wheel.name: wheel.depends for wheel in wheels}
    met = frozenset(brought) | everywhere(scans)
    deep = depths(wheels, gpu=config.build.gpu)
    texts = {
        wheel.name: read(wheel, Depth.TEXT).named for wheel in wheels if deep.get(wheel.name) is Depth.TEXT
    }
    request = PythonLibraryRequest(
        config=config,
        wheels=tuple(wheels),
        needs=tuple(unmet(scans, depends, met)),
        named=tuple(_named(scans, texts, depends, met)),
        asked={owner: _asked(scan, texts.get(owner, ())) for owner, scan in scans.items()},
        requires={wheel.name: read(wheel, depth(wheel)).requires for wheel in wheels if not wheel.source},
    )
    answers = ask(plugins, "find_python_libraries", request=request, context=context)
    found = {each.requirement: each for answer in reversed(answers) for each in answer or ()}
    return tuple(found[requirement] for requirement in sorted(found))


def _asked(scan: Scan, texts: Sequence[tuple[str, str]]) -> frozenset[str]:
    return frozenset(soname for linked in scan.files for soname in linked.needed) | {
        name for _, name in texts
    }


def _named(
    scans: Mapping[str, Scan],
    texts: Mapping[str, Sequence[tuple[str, str]]],
    depends: Mapping[str, Sequence[str]],
    met: Collection[str],
) -> Iterator[LibraryNeed]:
    """Yield what stands in files as text and the loader would not find, by the rules of what they link to.

    A library's text has its own name, and often those of the libraries that lie beside it.
    """

    def loads(owner: str, scan: Scan) -> Scan:
        search = {linked.path: linked.search for linked in scan.files}
        named = texts.get(owner, ())
        return replace(
            scan, files=tuple(DynamicFile(path, (name,), search.get(path, ())) for path, name in named)
        )

    yield from unmet({owner: loads(owner, scan) for owner, scan in scans.items()}, depends, met)
