"""The names that people write under ``system_packages``, and what Debian calls them.

Lists are written for whatever distribution their author had, mostly Ubuntu. A name that the suite does not
have is looked up in a small table of facts; what is not there either gets suggestions.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from cog_nix.errors import LockError

from .relations import Clause, Relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cog_nix.report import Reporter

    from .packages import Catalogue

RENAMED: Mapping[str, str] = {
    "chromium-browser": "chromium",
    "imagemagick-6.q16": "imagemagick",
    "libav-tools": "ffmpeg",
    "libdc1394-22-dev": "libdc1394-dev",
    "libegl1-mesa": "libegl1",
    "libgl1-mesa-glx": "libgl1",
    "libgles2-mesa": "libgles2",
    "libjpeg8-dev": "libjpeg62-turbo-dev",
    "libmysqlclient-dev": "default-libmysqlclient-dev",
    "libpng12-dev": "libpng-dev",
    "mime-support": "media-types",
    "mysql-client": "default-mysql-client",
    "netcat": "netcat-openbsd",
    "ninja": "ninja-build",
    "python": "python3",
    "python-dev": "python3-dev",
    "python-pip": "python3-pip",
    "python-setuptools": "python3-setuptools",
    "ttf-dejavu": "fonts-dejavu",
    "ttf-freefont": "fonts-freefont-ttf",
    "ttf-liberation": "fonts-liberation",
    "wayland-dev": "libwayland-dev",
}
"""Names that are gone from some suite, with the package that took their place there."""

_ELSEWHERE = (
    (
        re.compile(r"^(lib)?(cuda|cudnn|nvidia|nccl|cublas|tensorrt|nvinfer)"),
        "CUDA comes with the Python packages that use it (torch, tensorflow, nvidia-*): leave this one out.",
    ),
    (
        re.compile(r"^python3?\.?\d+(-(dev|venv|distutils|minimal))?$"),
        "The Python of the image is set by build.python_version.",
    ),
)
_REQUEST = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9+.-]*)(?::(?P<qualifier>[a-z0-9-]+))?(?:=(?P<version>\S+))?$"
)
_PARTS = re.compile(r"[-+.]")
_SUGGESTIONS = 3


class Names:
    """Turns requested names into clauses, collecting everything that is wrong with them.

    Args:
        catalogue: what there is.
        asked_in: where a name was asked for.
        reporter: is told when a name is taken for another one.
    """

    def __init__(self, catalogue: Catalogue, asked_in: Mapping[str, str], reporter: Reporter) -> None:
        self._catalogue = catalogue
        self._asked_in = asked_in
        self._reporter = reporter
        self._problems: list[str] = []
        self._meant: dict[str, str] = {}

    def clauses(self, wanted: Iterable[str]) -> list[Clause]:
        """Return a clause for each name that can be asked for; the others are remembered as problems."""
        found = (self._clause(name) for name in dict.fromkeys(wanted))
        return [clause for clause in found if clause]

    def written(self, clause: Clause) -> str:
        """Return a clause of :meth:`clauses` as it was asked for."""
        return self._meant[clause[0].name]

    def check(self) -> None:
        """Raise when a name was wrong.

        Raises:
            LockError: names all of them.
        """
        if self._problems:
            raise LockError(
                "\n".join(self._problems),
                hint="Correct these names under build.system_packages. `apt-cache search WORD` finds others.",
            )

    def place(self, name: str) -> str:
        """Return a package's name with where it was asked for: ``ffmpeg (cog.yaml:7)``."""
        written = self._meant.get(name, name)
        where = self._asked_in.get(written)
        return f"{name} ({where})" if where else name

    def _clause(self, written: str) -> Clause | None:
        found = _REQUEST.match(written)
        if not found:
            self._problem(written, f"{written!r} is not a Debian package name.")
            return None
        name, version = self._current(written, found["name"]), found["version"] or ""
        relation = Relation(name, "=" if version else "", version, found["qualifier"] or "")
        if problem := self._what_is_wrong(relation):
            self._problem(written, problem)
            return None
        self._meant[name] = written
        return (relation,)

    def _current(self, written: str, name: str) -> str:
        """Return the name that stands for one that the suite no longer has."""
        renamed = RENAMED.get(name)
        if renamed is None or self._is_clear(name) or not self._catalogue.named(renamed):
            return name
        where = f"{self._asked_in[written]}: " if written in self._asked_in else ""
        self._reporter.info(
            f"{where}{name} is called {renamed} in Debian {self._catalogue.suite}; taking that."
        )
        return renamed

    def _is_clear(self, name: str) -> bool:
        return bool(self._catalogue.named(name)) or len(self._providers(name)) == 1

    def _providers(self, name: str) -> list[str]:
        return sorted({package.name for package in self._catalogue.providing(name)})

    def _what_is_wrong(self, relation: Relation) -> str:
        suite = f"Debian {self._catalogue.suite}"
        if not relation.fits_architecture:
            return f"{relation}: only packages for amd64 can be installed."
        named = self._catalogue.named(relation.name)
        if relation.version and not any(relation.accepts(package.version) for package in named):
            there = ", ".join(package.version for package in named)
            if there:
                return f"{relation.name} has no version {relation.version} in {suite}; there is {there}."
        if named:
            return ""
        providers = self._providers(relation.name)
        if len(providers) > 1:
            return f"{relation.name!r} is a virtual package in {suite}: name one of {', '.join(providers)}."
        return "" if providers and not relation.version else self._unknown(relation.name)

    def _unknown(self, name: str) -> str:
        sentence = f"there is no package {name!r} in Debian {self._catalogue.suite}."
        for pattern, advice in _ELSEWHERE:
            if pattern.match(name):
                return f"{sentence} {advice}"
        close = suggest(name, self._catalogue.names)
        return f"{sentence} Did you mean {' or '.join(close)}?" if close else sentence

    def _problem(self, written: str, text: str) -> None:
        where = self._asked_in.get(written)
        self._problems.append(f"{where}: {text}" if where else text)


def suggest(name: str, names: Iterable[str]) -> list[str]:
    """Return the names most like one, the likeliest first.

    Only names that begin alike are compared: comparing all 130 000 would take seconds.
    """
    stem = name.removeprefix("lib")
    every = sorted({*names, *RENAMED})
    alike = [each for each in every if each.removeprefix("lib").startswith(stem[:2])]
    containing = [each for each in every if stem in _PARTS.split(each.removeprefix("lib"))]
    found = (
        difflib.get_close_matches(name, alike, n=_SUGGESTIONS, cutoff=0.85)
        or sorted(containing, key=_likeliness)[:_SUGGESTIONS]
        or difflib.get_close_matches(name, alike, n=_SUGGESTIONS, cutoff=0.7)
    )
    return list(dict.fromkeys(RENAMED.get(each, each) for each in found))


def _likeliness(name: str) -> tuple[bool, int]:
    """Order names that contain what was asked for: libraries and Python modules are what models need."""
    return (not name.startswith(("lib", "python3-")), len(name))
