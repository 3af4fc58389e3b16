"""Python packages that nobody named: those that bring libraries which other packages link to or load.

NVIDIA's CUDA is the case in point. Which package brings what is a plugin's knowledge; here is found what is
missing. Such a package is added beside what the project's own requirements come to, and never moves any of
that: see docs/design/libraries.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cog_nix.errors import LockError
from cog_nix.lock.pins import commits_of
from cog_nix.lock.reasons import parse
from cog_nix.plugins.spec import PythonResolution
from cog_nix.resolve.additions import Additions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.lock.model import Wheel
    from cog_nix.plugins.spec import FoundRequirement, PythonRequest
    from cog_nix.report import Reporter
    from cog_nix.resolve.dependency_search import DependencySearch
    from cog_nix.resolve.request import Tools


def extend(
    request: PythonRequest,
    own: PythonResolution,
    search: DependencySearch,
) -> tuple[PythonResolution, Additions]:
    """Add packages that bring libraries which are missing; what does not fit is told and left out.

    Args:
        request: what the project asks for.
        own: what that comes to. All of it is in the result, as it is but for what it depends on.
        search: finds what is missing.

    Returns:
        The packages, and why those are there that nobody asked for.
    """
    beside = _Beside(request, own, search.tools)
    found, added, tried = own, dict[str, str](), set[str]()
    while new := [one for one in search.python_packages(found.wheels) if one.requirement not in tried]:
        tried.update(one.requirement for one in new)
        found, fitting = beside.added(found, tuple(added), new)
        added |= {one.requirement: one.because for one in fitting}
        _tell(search.tools.reporter, [one for one in new if not {one, *one.otherwise} & {*fitting}])
        if not fitting:
            break
    asked = {wheel.name for wheel in own.wheels}
    return found, _reasons(added, [wheel for wheel in found.wheels if wheel.name not in asked])


@dataclass(frozen=True)
class _Beside:
    """Resolves with more requirements, around packages that stay as they are."""

    request: PythonRequest
    own: PythonResolution
    tools: Tools

    def added(
        self, found: PythonResolution, before: tuple[str, ...], new: Sequence[FoundRequirement]
    ) -> tuple[PythonResolution, list[FoundRequirement]]:
        """Resolve with all of some requirements, or else with those of them that fit, one by one.

        Args:
            found: what there is so far.
            before: lines that brought it there, beyond the project's own.
            new: what is to be added.

        Returns:
            What it comes to, and the requirements that fit, or those that stand in for them.
        """
        whole = self._resolve(found, (*before, *(one.requirement for one in new)))
        if whole:
            return whole, list(new)
        fitting: list[FoundRequirement] = []
        for one in new:
            for choice in ((one,) if len(new) > 1 else (), one.otherwise):
                lines = (*before, *(each.requirement for each in (*fitting, *choice)))
                if choice and (more := self._resolve(found, lines)):
                    found = more
                    fitting += choice
                    break
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
            answer = self.tools.plugins.resolve_python_packages(request, self.tools.context)
        except LockError as error:
            self.tools.reporter.log(error.message)
            return None
        by_name = {wheel.name: wheel for wheel in answer.wheels}
        for wheel in own:
            same = by_name.get(wheel.name)
            if same is None or same.artifact.sha256 != wheel.artifact.sha256:
                self.tools.reporter.log(f"{', '.join(lines)} would change {wheel.name} {wheel.version}")
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
        reporter.warn(f"Left out, because it conflicts with what the project asks for: {lines} ({why})")


def _reasons(added: Mapping[str, str], new: Sequence[Wheel]) -> Additions:
    """Return why there are packages that the project did not ask for, without what they require."""
    required = {name for wheel in new for name in wheel.depends}
    by_name = {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]: because for line, because in added.items()}
    every = "; ".join(dict.fromkeys(added.values()))
    reasons = {wheel.name: by_name.get(wheel.name, every) for wheel in new if wheel.name not in required}
    # What a plugin says is read as the lock will be.
    return Additions(tuple(replace(parse(*pair), told=pair[1]) for pair in reasons.items()))
