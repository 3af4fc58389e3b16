"""The devices that the specifications of this machine describe."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.cdi import document
from cog_nix.cdi.failures import AmbiguousDeviceError, CdiError, UnknownDeviceError
from cog_nix.cdi.model import Device, Edits, Specification

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FOLDERS = (Path("/etc/cdi"), Path("/var/run/cdi"))
"""Where specifications are, the later ones above the earlier (CDI SPEC.md; container-device-interface's
``DefaultSpecDirs``)."""
VARIABLE = "COG_NIX_CDI_DIRS"
"""Environment variable with other folders, separated by colons: for specifications of a plain user."""
_SUFFIXES = {".json", ".yaml"}
_QUALIFIED = re.compile(
    r"[A-Za-z][A-Za-z0-9_.-]*/[A-Za-z][A-Za-z0-9_-]*=[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?"
)


@dataclass(frozen=True)
class Registry:
    """All specifications, and which of them has the last word on a device."""

    specifications: tuple[Specification, ...] = ()
    problems: tuple[str, ...] = ()
    """What is wrong with files that were left out."""
    _found: Mapping[str, tuple[Specification, Device]] = field(default_factory=dict)
    _ambiguous: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, folders: Sequence[Path]) -> Registry:
        """Read the specifications in some folders.

        A device of a later folder takes the place of one with its name of an earlier folder. Two of one
        folder are a conflict, and neither can be asked for. A broken file hides no other.

        Args:
            folders: those that are not there have none.
        """
        specifications: list[Specification] = []
        problems: list[str] = []
        found: dict[str, list[tuple[Specification, Device]]] = {}
        for folder in folders:
            here: dict[str, list[tuple[Specification, Device]]] = {}
            for path in _files(folder):
                try:
                    one = document.read(path)
                except CdiError as error:
                    problems.append(error.message)
                    continue
                specifications.append(one)
                for device in one.devices:
                    here.setdefault(one.qualified(device), []).append((one, device))
            found |= here
        return cls(
            tuple(specifications),
            tuple(problems),
            {name: pairs[0] for name, pairs in found.items() if len(pairs) == 1},
            {name: tuple(one.path for one, _ in pairs) for name, pairs in found.items() if len(pairs) > 1},
        )

    def names(self, kind: str) -> list[str]:
        """Return the devices of a kind that can be asked for, without the kind, in order."""
        prefix = f"{kind}="
        return sorted(
            (name.removeprefix(prefix) for name in self._found if name.startswith(prefix)),
            key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name),
        )

    def knows(self, kind: str) -> bool:
        """Whether a specification has devices of a kind, be they in conflict."""
        return any(name.startswith(f"{kind}=") for name in (*self._found, *self._ambiguous))

    def edits(self, names: Iterable[str]) -> Edits:
        """Return what a container with some devices needs.

        Args:
            names: qualified, ``vendor.com/class=name``.

        Raises:
            CdiError: a name is unknown, or two files of a folder have it.
        """
        total = Edits()
        opened: list[Specification] = []
        for name in dict.fromkeys(names):
            if name in self._ambiguous:
                raise AmbiguousDeviceError(name, self._ambiguous[name])
            if name not in self._found:
                raise self._unknown(name)
            specification, device = self._found[name]
            if specification not in opened:
                opened.append(specification)
                total += specification.edits
            total += device.edits
        return total

    def _unknown(self, name: str) -> CdiError:
        if not is_qualified(name):
            message = f"{name!r} is not the name of a device."
            return CdiError(message, hint="Write it as vendor.com/class=name, such as nvidia.com/gpu=0.")
        names = dict.fromkeys(one.qualified(device) for one in self.specifications for device in one.devices)
        hint = f"There are: {', '.join(names)}." if names else "No specification describes a device."
        return UnknownDeviceError("device", [name], hint=hint, problems=self.problems)


def is_qualified(name: str) -> bool:
    """Whether a name has the form ``vendor.com/class=name``."""
    return bool(_QUALIFIED.fullmatch(name))


def folders(environ: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Return where specifications are looked for.

    Args:
        environ: the environment; None: this process's.
    """
    named = (os.environ if environ is None else environ).get(VARIABLE)
    return tuple(Path(text) for text in named.split(":") if text) if named else FOLDERS


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    except OSError:
        return []  # not there, or not ours to read
