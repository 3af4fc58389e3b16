"""Which Python packages bring the CUDA libraries that others link to or load.

NVIDIA publishes the parts of CUDA on PyPI, and ``cuda-toolkit``, whose extras name the parts of one
release. A wheel that has an extra for CUDA is asked for with it; for all others the libraries' names decide.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from cog_nix.config import torch as facts
from cog_nix.plugins.spec import FoundRequirement

from .builds import runtime_release
from .metadata import cuda_extras, is_part, title
from .opened import opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cog_nix.lock.model import Wheel
    from cog_nix.plugins.spec import LibraryNeed, PythonLibraryRequest

_STEM = re.compile(r"^(lib.+?)\.so(\.|$)")
_TOOLKIT = "cuda-toolkit"
_NEW_NAMES = 13
"""Since this release of CUDA most packages go without its version in their name."""


@dataclass(frozen=True)
class Family:
    """A major version of CUDA."""

    major: str
    toolkit: str
    """Which releases of ``cuda-toolkit``."""
    libraries: Mapping[str, str]
    """By soname: an extra of ``cuda-toolkit``, or a requirement."""


@cache
def families() -> tuple[Family, ...]:
    """Return what is known, oldest first."""
    table = json.loads(Path(__file__).with_name("libraries.json").read_text("utf-8"))["families"]
    return tuple(
        Family(major, known["toolkit"], known["libraries"])
        for major, known in sorted(table.items(), key=lambda pair: int(pair[0]))
    )


def find(request: PythonLibraryRequest) -> Sequence[FoundRequirement]:
    """Name packages for CUDA's libraries that nothing has.

    Without ``gpu: true`` only what files link to is looked for.
    """
    build = request.config.build
    search = _Search(tuple(request.wheels), build.cuda or "", request.asked)
    found: list[FoundRequirement] = []
    by_owner: dict[str, list[LibraryNeed]] = {}
    loads = opened(request.wheels) if build.gpu else ()
    loaded = [need for major, need in loads if not search.has(major, need)]
    for need in (*request.needs, *request.named, *loaded):
        by_owner.setdefault(need.owner, []).append(need)
    linked = {(need.owner, need.soname) for need in request.needs}

    def linked_by(owner: str) -> set[str]:
        return {soname for name, soname in linked if name == owner}

    for wheel in request.wheels:
        requires = request.requires.get(wheel.name, ())
        if not build.gpu or is_part(wheel.name):
            continue
        needs = by_owner.get(wheel.name, ())
        if extras := search.extras(wheel, requires, needs, linked_by(wheel.name)):
            by_owner.pop(wheel.name, None)
            found += extras
    plans = [
        plan for owner, needs in sorted(by_owner.items()) if (plan := search.plan(needs, linked_by(owner)))
    ]
    # One package stands for a release. What is needed of another CUDA comes by its parts' names.
    toolkit = search.toolkit or next((plan.family.major for plan in plans if plan.has_release), "")
    for plan in plans:
        found += search.parts(plan, by_release=plan.family.major == toolkit)
    return _merged(found)


@dataclass(frozen=True)
class _Plan:
    """What one owner needs of CUDA, all of one family."""

    family: Family
    needs: tuple[LibraryNeed, ...]
    linked: frozenset[str]
    """Sonames that files link to; others are named in them."""

    @property
    def has_release(self) -> bool:
        """Whether any of it comes with a release of CUDA, rather than with a version of its own."""
        asked = (self.family.libraries.get(need.soname) for need in self.needs)
        return any(one is not None and not one.startswith("nvidia-") for one in asked)


@dataclass(frozen=True)
class _Search:
    wheels: tuple[Wheel, ...]
    cuda: str
    """``build.cuda``, completed."""
    asked: Mapping[str, frozenset[str]]
    """What each owner's files ask for, met or not."""

    @property
    def _present(self) -> Mapping[str, str]:
        return {wheel.name: wheel.version for wheel in self.wheels}

    @property
    def _installed(self) -> str:
        """CUDA's release that the project's packages brought (``12.4``); empty when they brought none."""
        return runtime_release(self._present)

    @property
    def _parts(self) -> set[str]:
        """The packages with CUDA's libraries that are there, without CUDA's version."""
        return {title(name) for name in self._present if name.startswith("nvidia-") and is_part(name)}

    def has(self, major: str, need: LibraryNeed) -> bool:
        """Tell whether the package that has a library of one CUDA is there."""
        family = next(one for one in families() if one.major == major)
        return Requirement(_requirement(family, need.soname)).name in self._present

    def extras(
        self, wheel: Wheel, requires: Sequence[str], needs: Sequence[LibraryNeed], linked: set[str]
    ) -> list[FoundRequirement]:
        """Return a wheel with its extras for CUDA; nothing when it has none, or all of it is there.

        Where they leave the release open, the one that cog.yaml names comes with them.

        Args:
            wheel: which.
            requires: its Requires-Dist.
            needs: what its files need and nothing has.
            linked: the sonames among these that files link to.
        """
        offered = cuda_extras(requires)
        majors = {extra.family for extra in offered if extra.family}
        family = self._family(needs, needs, majors) if len(majors) > 1 else "".join(majors)
        own = [extra for extra in offered if extra.family in ("", family)]
        missing = {part for extra in own for part in extra.parts} - self._present.keys()
        # Where others brought the parts, nobody needs the package that only names a release.
        needs_parts = self._known(needs) or any(part.startswith("nvidia-") for part in missing)
        if not missing or (self._parts and not needs_parts):
            return []
        names = [extra.name for extra in own]
        which = f"extra {names[0]} names" if len(names) == 1 else f"extras {' and '.join(names)} name"
        because = f"{wheel.name} {wheel.version}: it loads CUDA's libraries, which its {which}"
        # An extra may ask for one release of CUDA where parts of another one are there already.
        parts = self._by_name(family, self._known(needs), linked)
        found = [FoundRequirement(f"{wheel.name}[{','.join(names)}]", because, parts)]
        release = facts.minor(self.cuda)
        if release and not self._installed and any(extra.takes(release) for extra in own):
            found.append(FoundRequirement(f"{_TOOLKIT}=={release}.*", because))
        return found

    def _by_name(
        self, major: str, needs: Sequence[LibraryNeed], linked: set[str]
    ) -> tuple[FoundRequirement, ...]:
        """Return the packages with what one owner needs, each by its name; those of one family."""
        family = next((one for one in families() if one.major == major), None)
        if family is None:
            return ()
        parts = self.parts(_Plan(family, tuple(needs), frozenset(linked)), by_release=False)
        return tuple({one.requirement: one for one in reversed(list(parts))}.values())

    @property
    def toolkit(self) -> str:
        """CUDA's major version of the package that stands for a release; empty where it is not there."""
        return self._present.get(_TOOLKIT, "").partition(".")[0]

    def plan(self, needs: Sequence[LibraryNeed], linked: set[str]) -> _Plan | None:
        """Choose the family of what one owner needs; None: nothing of it is CUDA's."""
        known = self._known(needs)
        if not known:
            return None
        major = self._family([need for need in known if need.soname in linked], known, set())
        family = next((one for one in families() if one.major == major), None)
        return _Plan(family, tuple(known), frozenset(linked)) if family else None

    def parts(self, plan: _Plan, *, by_release: bool) -> Iterator[FoundRequirement]:
        """Yield what brings the libraries that one owner needs.

        Args:
            plan: the needs.
            by_release: whether those that a release has come as parts of ``cuda-toolkit``.
        """
        extras: dict[str, LibraryNeed] = {}
        for need in plan.needs:
            asked = plan.family.libraries.get(need.soname)
            if asked is None:
                continue
            if by_release and not asked.startswith("nvidia-"):
                extras.setdefault(asked, need)
            else:
                requirement = _requirement(plan.family, need.soname)
                yield FoundRequirement(requirement, self._sentence(need, plan.linked))
        for extra, need in extras.items():
            requirement = f"{_TOOLKIT}[{extra}]{self._release(plan.family)}"
            yield FoundRequirement(requirement, self._sentence(need, plan.linked))

    def _known(self, needs: Iterable[LibraryNeed]) -> list[LibraryNeed]:
        """Return what is CUDA's, but for other variants of libraries that are there.

        A package with a file for each CUDA there is (bitsandbytes) asks for them all; one of them is enough.
        """
        sonames = {soname for family in families() for soname in family.libraries}
        there = self._parts
        return [
            need
            for need in needs
            if need.soname in sonames
            and not (self._has_variants(need.owner) and there.intersection(_packages(need.soname)))
        ]

    def _has_variants(self, owner: str) -> bool:
        """Tell whether an owner asks for libraries of more than one CUDA."""
        asked = self.asked.get(owner, frozenset())
        return sum(bool(asked & _alone(family.major)) for family in families()) > 1

    def _family(
        self, sure: Iterable[LibraryNeed], all_needs: Iterable[LibraryNeed], offered: set[str]
    ) -> str:
        """Choose a major version: what files link to, then what is there, what cog.yaml says, the newest."""
        for needs in (sure, all_needs):
            majors = self._majors(needs)
            if offered:
                majors &= offered
            if len(majors) == 1:
                return majors.pop()
            if majors:
                break
        else:
            majors = offered or {family.major for family in families()}
        for release in (self._installed, self.cuda):
            if release.partition(".")[0] in majors:
                return release.partition(".")[0]
        return max(majors, key=int)

    @staticmethod
    def _majors(needs: Iterable[LibraryNeed]) -> set[str]:
        """Return the families that have all of the libraries, or else the most of them."""
        sonames = {need.soname for need in needs}
        counts = {family.major: len(sonames & family.libraries.keys()) for family in families()}
        most = max(counts.values())
        return {major for major, count in counts.items() if count == most} if most else set()

    def _release(self, family: Family) -> str:
        """Return which release: the one whose parts are there, the one that cog.yaml names, the newest."""
        for release in (self._present.get(_TOOLKIT, ""), self._installed, self.cuda):
            if release.partition(".")[0] == family.major and family.major != "11":
                return f"=={facts.minor(release)}.*"
        return family.toolkit

    def _sentence(self, need: LibraryNeed, linked: frozenset[str]) -> str:
        title = f"{need.owner} {self._present[need.owner]}" if need.owner in self._present else need.owner
        verb = "needs" if need.soname in linked else "names"
        return f"{title or 'The project'}: {need.path} {verb} {need.soname}"


def _requirement(family: Family, soname: str) -> str:
    """Return the requirement of the package that has a library.

    From CUDA 13 on, a package's major version is that of its libraries.
    """
    asked = family.libraries[soname]
    if asked.startswith("nvidia-"):
        return asked
    if int(family.major) < _NEW_NAMES:
        return f"{_BY_EXTRA[asked]}-cu{family.major}"
    major = int(soname.partition(".so.")[2].partition(".")[0])
    return f"{_BY_EXTRA[asked]}>={major},<{major + 1}"


@cache
def _alone(major: str) -> frozenset[str]:
    """Return the sonames that no other family has."""
    others = {soname for family in families() if family.major != major for soname in family.libraries}
    own = next(family for family in families() if family.major == major)
    return frozenset(own.libraries.keys() - others)


def _stem(soname: str) -> str:
    found = _STEM.match(soname)
    return found[1] if found else soname


@cache
def _packages(soname: str) -> frozenset[str]:
    """Return the packages, without CUDA's version, that have a library or another version of it."""
    stem = _stem(soname)
    titles: set[str] = set()
    for family in families():
        for name, asked in family.libraries.items():
            if name.startswith(f"{stem}.so"):
                plain = re.split(r"[<>=]", asked)[0]
                titles.add(title(plain) if asked.startswith("nvidia-") else _BY_EXTRA[asked])
    return frozenset(titles)


_BY_EXTRA = {
    "cublas": "nvidia-cublas",
    "cudart": "nvidia-cuda-runtime",
    "cufft": "nvidia-cufft",
    "cufile": "nvidia-cufile",
    "cupti": "nvidia-cuda-cupti",
    "curand": "nvidia-curand",
    "cusolver": "nvidia-cusolver",
    "cusparse": "nvidia-cusparse",
    "npp": "nvidia-npp",
    "nvfatbin": "nvidia-nvfatbin",
    "nvjitlink": "nvidia-nvjitlink",
    "nvjpeg": "nvidia-nvjpeg",
    "nvrtc": "nvidia-cuda-nvrtc",
    "nvtx": "nvidia-nvtx",
}
"""The package behind each extra of ``cuda-toolkit``, without CUDA's version."""


def _merged(found: Iterable[FoundRequirement]) -> Sequence[FoundRequirement]:
    """Return one requirement for all extras of the same release, and each other one once."""
    extras: dict[tuple[str, str], dict[str, str]] = {}
    others: dict[str, FoundRequirement] = {}
    for one in found:
        match = re.fullmatch(r"(cuda-toolkit)\[([a-z]+)\](.*)", one.requirement)
        if match:
            extras.setdefault((match[1], match[3]), {}).setdefault(match[2], one.because)
        else:
            others.setdefault(one.requirement, one)
    merged = [
        FoundRequirement(f"{name}[{','.join(sorted(known))}]{release}", next(iter(known.values())))
        for (name, release), known in extras.items()
    ]
    return (*merged, *others.values())
