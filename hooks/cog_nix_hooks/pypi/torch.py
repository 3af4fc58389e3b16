"""Which of PyTorch's builds a project gets: the one on PyPI, or one from an index of PyTorch's own.

PyPI has one build of each release, for one CUDA. The others are in indexes of their own, one for each CUDA
release and one for the CPU, whose versions carry a local part (``2.0.1+cu118``, PEP 440). uv knows where they
are and which packages are in them (``--torch-backend``); here is decided which one is asked for, if any. The
order of decisions is in docs/design/gpu-resolution.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from cog_nix.config import torch as facts
from cog_nix_hooks.pypi.errors import PackageError
from cog_nix_hooks.pypi.lines import requirement_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix.config.torch import Release
    from cog_nix.plugins.spec import PythonRequest
    from cog_nix_hooks.pypi.lines import Lines
    from cog_nix_hooks.pypi.target import Target

FAMILY = ("torch", "torchvision", "torchaudio")
"""What is released together and has to be built for the same CUDA."""

_COMPANIONS = FAMILY[1:]
_BACKEND = re.compile(r"cpu|xpu|cu\d{2,3}|rocm[\d.]+")
_INDEX = re.compile(r"/whl/(cpu|cu\d{2,3})/?$")
"""The end of an index's URL, PyTorch's own or a mirror's."""
_EXACT = ("==", "===")
_OPEN_FROM = {"torchaudio": (2, 11)}
"""From here on a companion requires no release of torch in particular."""


@dataclass(frozen=True)
class Backend:
    """An index of PyTorch's own to ask."""

    name: str
    """As uv has it: ``cpu``, ``cu118``."""
    why: str
    """What asks for it: ``gpu: false``."""
    pinned: bool = False
    """Whether a requirement names it, so that no other build will do."""
    default: str = ""
    """The CUDA release of the build that PyPI has instead, where that is known."""

    @property
    def what(self) -> str:
        """Its builds, in words."""
        cuda = facts.cuda_of(self.name)
        built_for = f"CUDA {cuda}" if cuda else "the CPU" if self.name == "cpu" else self.name
        return f"PyTorch built for {built_for}"


@dataclass(frozen=True)
class Choice:
    """What is to be asked for."""

    backend: Backend | None = None
    """None: PyPI's build."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Named:
    """The members of the family that the requirements name."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Exact versions; "" where a range or nothing is said."""
    ranges: Mapping[str, SpecifierSet] = field(default_factory=dict)
    """All that is said."""

    def locals_(self) -> dict[str, str]:
        """Return the local version of each that has one."""
        return {name: version.partition("+")[2] for name, version in self.versions.items() if "+" in version}

    def release(self) -> Release | None:
        """Return the release of PyTorch that is pinned, by torch itself or by what goes with it."""
        found = (facts.release_of(name, version) for name, version in self.versions.items() if version)
        return next(filter(None, found), None)


def matched(lines: Lines, target: Target) -> Lines:
    """Return the lines with the versions added that go with a pinned torch.

    A torchaudio since 2.11 says nothing of the torch it was made for, so it would be taken beside any.

    Args:
        lines: what the project requires.
        target: the image, for markers.
    """
    named = _named(lines, target)
    pinned = named.versions.get("torch")
    known = facts.release(pinned) if pinned else None
    if known is None or has_own_index(lines):
        return lines
    added = []
    for name in _COMPANIONS:
        if named.versions.get(name) == "":
            fitting = list(named.ranges[name].filter(known.companions(name)))
            added += [f"{name}=={version}" for version in fitting[-1:]]
    return replace(lines, requirements=(*lines.requirements, *added))


def mismatched(versions: Mapping[str, str]) -> dict[str, str]:
    """Return what to take in place of companions that were made for another torch and do not say so.

    Args:
        versions: what requirements came to, by name.
    """
    known = facts.release(versions["torch"]) if "torch" in versions else None
    return {
        name: known.companions(name)[-1]
        for name in _COMPANIONS
        if known and known.companions(name) and _is_open(name, versions.get(name, ""))
        if _public(f"=={versions[name]}") not in known.companions(name)
    }


def choose(lines: Lines, request: PythonRequest, target: Target) -> Choice:
    """Decide which of PyTorch's builds to ask for.

    Args:
        lines: what the project requires.
        request: with what cog.yaml says of GPUs.
        target: the image, for markers.

    Raises:
        PackageError: versions that are pinned have no build that goes together.
    """
    if has_own_index(lines):
        return Choice()  # who names an index knows what is in it
    named = _named(lines, target)
    if not named.versions:
        return Choice()
    _check_together(named, request)
    local = _common_local(named, request)
    if local:
        return _for_pin(local, named, request)
    known = named.release()
    if request.gpu is False:
        return Choice(Backend("cpu", "gpu: false", default=known.default if known else ""))
    if request.gpu and request.cuda:
        return _for_cuda(request.cuda, named, request)
    return Choice()


def for_required(lines: Lines, request: PythonRequest, versions: Mapping[str, str]) -> Backend | None:
    """Return the index to ask when PyTorch is not named, and something that is named requires it.

    Args:
        lines: what the project requires.
        request: with what cog.yaml says of GPUs.
        versions: what the requirements came to, by name.
    """
    if request.gpu is not False or has_own_index(lines) or "torch" not in versions:
        return None
    known = facts.release(versions["torch"])
    return Backend("cpu", "gpu: false", default=known.default if known else "")


def named(lines: Lines, target: Target) -> Backend | None:
    """Return the index of PyTorch's that the project names beside PyPI; None where there is more to it.

    Args:
        lines: what the project requires.
        target: the image, for markers.
    """
    url = lines.extra[0] if len(lines.extra) == 1 else ""
    found = _INDEX.search(url)
    family = _named(lines, target)
    if not found or lines.index or lines.find_links or lines.no_index or family.locals_():
        return None
    known = family.release()
    return Backend(found[1], f"--extra-index-url …{found[0]}", default=known.default if known else "")


def advice(error: PackageError, lines: Lines, target: Target) -> str:
    """Return what goes with a pinned torch, when an error is about a companion of it; "" for all else."""
    versions = _named(lines, target).versions
    known = facts.release(versions["torch"]) if versions.get("torch") else None
    made = {name: known.companions(name) for name in _COMPANIONS if known and error.is_about(name)}
    fitting = [
        f"{name}=={ones[-1]}" for name, ones in made.items() if ones and versions.get(name) not in ones
    ]
    return f"Beside torch {known.version}: {' and '.join(fitting)}." if known and fitting else ""


def has_own_index(lines: Lines) -> bool:
    """Return whether the project itself says where its packages come from."""
    return bool(lines.index or lines.extra or lines.find_links or lines.no_index)


def preferences(pins: Mapping[str, str], backend: Backend | None) -> dict[str, str]:
    """Return the versions to keep, as the index has them: the same release is another version there."""
    suffix = f"+{backend.name}" if backend else ""
    return {
        name: version.partition("+")[0] + suffix if name in FAMILY else version
        for name, version in pins.items()
    }


def _named(lines: Lines, target: Target) -> _Named:
    found: dict[str, str] = {}
    ranges: dict[str, SpecifierSet] = {}
    for line in lines.requirements:
        requirement = requirement_of(line)
        if requirement is None:
            continue  # an option, or uv will say what is wrong with it
        name = canonicalize_name(requirement.name)
        if name not in FAMILY or requirement.url or not target.answers(requirement.marker):
            continue
        exact = [
            one.version
            for one in requirement.specifier
            if one.operator in _EXACT and not one.version.endswith(".*")
        ]
        found[name] = exact[0] if exact else found.get(name, "")
        ranges[name] = ranges.get(name, SpecifierSet()) & requirement.specifier
    return _Named(found, ranges)


def _check_together(named: _Named, request: PythonRequest) -> None:
    """Refuse a torch without wheels for the Python, and companions that were made for another torch.

    Raises:
        PackageError: with the versions that do go together.
    """
    python = ".".join(request.python_version.split(".")[:2])
    for name, version in named.versions.items():
        known = facts.release_of(name, version) if version else None
        if known and not known.fits(python):
            raise PackageError(
                f"{request.place(name)}: {name} {version} has no wheels for Python {python}: there are some"
                f" for {_span(known.pythons)}",
                hint=_other_python(name, python, known),
                package=name,
            )
    pinned = named.versions.get("torch")
    torch = facts.release(pinned) if pinned else None
    for name in _COMPANIONS if torch else ():
        version = named.versions.get(name, "")
        other = facts.release_of(name, version) if version else None
        fitting = torch.companions(name) if torch else ()
        if torch and version and other and other != torch and fitting and not _is_open(name, version):
            raise PackageError(
                f"{request.place(name)}: {name} {version} is made for torch {other.version}, and torch"
                f" {torch.version} is asked for",
                hint=f"Beside torch {torch.version}: {name}=={fitting[-1]}.",
                package=name,
            )


def _is_open(name: str, version: str) -> bool:
    return name in _OPEN_FROM and facts.numbers(version) >= _OPEN_FROM[name]


def _other_python(name: str, python: str, known: Release) -> str:
    fitting = [
        one for one in facts.releases() if one.fits(python) and (name == "torch" or one.companions(name))
    ]
    advice = f'Set python_version to "{known.pythons[1]}"'
    if not fitting:
        return f"{advice}; PyTorch has no wheels for Python {python} that are known here."
    first, last = (
        (one.version, *one.companions(name))[-1 if name != "torch" else 0]
        for one in (fitting[0], fitting[-1])
    )
    return f"{advice}, or take {name} {_span((first, last))}, which have wheels for Python {python}."


def _common_local(named: _Named, request: PythonRequest) -> str:
    """Return the local version that pins name; "" when there is none, or it is none of PyTorch's.

    Raises:
        PackageError: they name different ones, or one that this release was not built for.
    """
    found = named.locals_()
    if len(set(found.values())) > 1:
        pins = " and ".join(f"{name}=={named.versions[name]}" for name in found)
        place = request.place(next(iter(found)))
        raise PackageError(
            f"{place}: {pins} are built for different CUDA releases and do not work together",
            hint=f"Write the same local version after both: +{next(iter(found.values()))}.",
            package=next(iter(found)),
        )
    local = next(iter(found.values()), "")
    if not _BACKEND.fullmatch(local):
        return ""
    known, cuda = named.release(), facts.cuda_of(local)
    if known and known.cudas and cuda and cuda not in known.cudas:
        name = next(iter(found))
        raise PackageError(
            f"{request.place(name)}: {name} {named.versions[name]} does not exist: torch {known.version} has"
            f" builds for CUDA {_listed(known.cudas)} and for the CPU",
            hint=_other_build(cuda, known),
            package=name,
        )
    return local


def _other_build(cuda: str, known: Release) -> str:
    fitting = [one.version for one in facts.releases() if cuda in one.cudas]
    ends = f"+{_index_of(known.cudas[-1])}"
    advice = f"Write {ends} instead of +{_index_of(cuda)}, or leave it out"
    return (
        f"{advice}; CUDA {cuda} goes with torch {_span((fitting[0], fitting[-1]))}."
        if fitting
        else f"{advice}."
    )


def _for_pin(local: str, named: _Named, request: PythonRequest) -> Choice:
    """A pin says it all; what cog.yaml says beside it may be something else."""
    name = next(iter(named.locals_()))
    pin = f"{name}=={named.versions[name]}"
    cuda, asked = facts.cuda_of(local), facts.minor(request.cuda or "")
    known, said = named.release(), f"{request.place(name)}: {pin}"
    warnings: tuple[str, ...] = ()
    if request.gpu is False and cuda:
        warnings = (
            f"{said} brings CUDA {cuda} into an image with gpu: false; {name}=={_public(pin)}+cpu does not",
        )
    elif request.gpu and local == "cpu":
        warnings = (f"{said} cannot use a GPU, and the image is one with gpu: true: leave +cpu out",)
    elif asked and cuda and asked != cuda:
        others = (
            f" (torch {known.version} has builds for CUDA {_listed(known.cudas)})"
            if known and known.cudas
            else ""
        )
        said += f' brings CUDA {cuda}, and cog.yaml says cuda: "{request.cuda}"{others}'
        warnings = (f'{said}: the one in the wheel is what the model uses. Write cuda: "{cuda}"',)
    return Choice(Backend(local, pin, pinned=True, default=known.default if known else ""), warnings)


def _for_cuda(asked: str, named: _Named, request: PythonRequest) -> Choice:
    """The build for the newest CUDA release that is not newer than the one asked for, as Cog has it."""
    known, wanted = named.release(), facts.numbers(asked)[:2]
    why = f'cuda: "{asked}"'
    if known is None or not known.cudas:
        every = {cuda for one in facts.releases() for cuda in one.cudas}
        fitting = [c for c in every if facts.numbers(c)[0] == wanted[0] and facts.numbers(c) <= wanted]
        if not fitting or (known and facts.numbers(known.default) == wanted):
            return Choice()
        return Choice(Backend(_index_of(max(fitting, key=facts.numbers)), why))
    fitting = [cuda for cuda in known.cudas if facts.numbers(cuda) <= wanted]
    if not fitting:
        goes = [one.version for one in facts.releases() if facts.minor(asked) in one.cudas]
        other = f", and CUDA {facts.minor(asked)} with torch {_span((goes[0], goes[-1]))}" if goes else ""
        place = request.place(next(iter(named.versions)))
        said = f"{place}: torch {known.version} has no build for a CUDA release as old as {why}"
        taken = f"so PyPI's with CUDA {known.default} is taken"
        return Choice(warnings=(f"{said}, {taken}. It goes with CUDA {_listed(known.cudas)}{other}",))
    best = fitting[-1]
    if best == known.default:
        return Choice()
    return Choice(Backend(_index_of(best), why, default=known.default))


def _index_of(cuda: str) -> str:
    return f"cu{cuda.replace('.', '')}"


def _public(pin: str) -> str:
    return pin.partition("==")[2].partition("+")[0]


def _listed(versions: tuple[str, ...]) -> str:
    return f"{', '.join(versions[:-1])} and {versions[-1]}" if len(versions) > 1 else versions[0]


def _span(ends: tuple[str, str]) -> str:
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
