"""The story of finding programs: what is known of them, what is there, and which packages have the rest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .archive import open_suite
from .known import OF_NO_USE, PACKAGES
from .libraries import open_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cog_nix.lock.model import Deb
    from cog_nix.plugins.spec import Context, ProgramRequest

    from .contents import Contents
    from .packages import Catalogue, Package

_NOT_FOR_RUNNING = re.compile(r"^python3?-|-(dev|dbg|dbgsym|cross|headers|test|tests|examples|doc)$")
"""Python's programs come with Python packages; Debian's would run in another Python than the model's."""

_UNSIGNED = "and taken where a package has the program's name"


def find_programs(request: ProgramRequest, context: Context) -> dict[str, str]:
    """Find packages for programs that an image lacks.

    Raises:
        LockError: an index cannot be read.
        FetchError: the archive cannot be read.
    """
    wanted = [name for name in request.programs if name not in OF_NO_USE]
    if not wanted:
        return {}
    with open_suite(request.suite, context) as suite:
        chooser = _Chooser(suite.catalogue, request.present)
        found = {name: chooser.known(name) for name in wanted if name in PACKAGES}
        others = [name for name in wanted if name not in PACKAGES]
        index = open_index(request.suite, others, context, otherwise=_UNSIGNED) if others else None
        if index:
            contents, signed = index
            with contents:
                found |= {name: chooser.look_up(name, contents, signed=signed) for name in others}
    return {name: package for name, package in found.items() if package}


class _Chooser:
    """Picks one package for each program.

    Args:
        catalogue: what there is.
        present: what is in the image.
    """

    def __init__(self, catalogue: Catalogue, present: Iterable[Deb]) -> None:
        self._catalogue = catalogue
        self._present = {deb.package for deb in present}

    def known(self, program: str) -> str:
        """Return the package of a program that is known; "" where it is there, or the suite has none."""
        names = PACKAGES[program]
        return self._first(names, self._catalogue.beside(names, self._present))

    def look_up(self, program: str, contents: Contents, *, signed: bool) -> str:
        """Return the package that an index names; "" where it is there, or none is sure.

        Args:
            program: its name.
            contents: the index.
            signed: whether it is the archive's; otherwise it is believed where the package has the program's
                name.
        """
        names = [name for name in contents.packages_of_program(program) if not _NOT_FOR_RUNNING.search(name)]
        found = self._catalogue.beside(names, self._present)
        packages = [one for one in found if signed or one.name == program]
        ranked = sorted(packages, key=lambda one: (one.name != program, len(one.depends), one.installed_size))
        return self._first(names, ranked)

    def _first(self, names: Iterable[str], packages: Sequence[Package]) -> str:
        return "" if self._present.intersection(names) or not packages else packages[0].name
