"""Binary caches that outputs may come from, and other machines that build: whose word counts.

Who answers for a binary cache's key, or for a machine that builds, answers for every path that comes from
there: such a path lies in a store that other projects and users share. So a project's ``cog-nix.toml`` may
name them, and they count once this user has said so (``cog-nix cache trust``); the environment is the user's.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from cog_nix.system import jsonvalue
from cog_nix.system.files import write_atomically
from cog_nix.system.platforms import BUILDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.config.model import NixSettings

SYSTEM = BUILDER.nix_system
"""What all derivations are for."""
VARIABLES = {
    "substituters": "COG_NIX_SUBSTITUTERS",
    "trusted_public_keys": "COG_NIX_TRUSTED_PUBLIC_KEYS",
    "builders": "COG_NIX_BUILDERS",
}
"""The environment's name for each; between values is white space, between builders a semicolon."""
_CONNECT_SECONDS = 10
_ATTEMPTS = 2
_FORGET_SECONDS = 60
"""So long is it believed that a cache does not have something: another machine may be pushing it."""
_SSH = f"-o BatchMode=yes -o ConnectTimeout={_CONNECT_SECONDS}"


@dataclass(frozen=True)
class Caches:
    """What of others' work may be used."""

    substituters: tuple[str, ...] = ()
    """URLs of binary caches and stores (Nix manual, "substituters")."""
    trusted_public_keys: tuple[str, ...] = ()
    """``NAME:KEY``, whose signatures count."""
    builders: tuple[str, ...] = ()
    """Machines that build, as Nix has them: ``ssh-ng://HOST SYSTEM KEY-FILE JOBS …``."""

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.substituters or self.trusted_public_keys or self.builders)

    def __add__(self, other: Caches) -> Caches:
        """Return both, what both have once."""
        return Caches(
            *(tuple(dict.fromkeys([*getattr(self, name), *getattr(other, name)])) for name in VARIABLES)
        )

    def __sub__(self, other: Caches) -> Caches:
        """Return what the other does not have."""
        return Caches(
            *(
                tuple(one for one in getattr(self, name) if one not in getattr(other, name))
                for name in VARIABLES
            )
        )

    def options(self, *, extra: bool = False) -> list[str]:
        """Return Nix's options.

        Args:
            extra: whether these come on top of what the user's nix.conf has.
        """
        return [*self._substitution(extra="extra-" if extra else ""), *self._building()]

    def _substitution(self, extra: str) -> list[str]:
        if not self.substituters:
            return [] if extra else ["--option", "substitute", "false"]
        named = {
            f"{extra}substituters": " ".join(self.substituters),
            f"{extra}trusted-public-keys": " ".join(self.trusted_public_keys),
            "substitute": "true",
            "connect-timeout": str(_CONNECT_SECONDS),
            "download-attempts": str(_ATTEMPTS),
            "narinfo-cache-negative-ttl": str(_FORGET_SECONDS),
        }
        return [part for name, value in named.items() for part in ("--option", name, value)]

    def _building(self) -> list[str]:
        if not self.builders:  # as Nix's own configuration has it
            return []
        use = ["--option", "builders-use-substitutes", "true"]
        return ["--option", "builders", " ; ".join(self.builders), *use]

    def environment(self) -> dict[str, str]:
        """Return what Nix needs to know besides: nobody answers questions of ssh's, or waits for an hour."""
        return {} if "NIX_SSHOPTS" in os.environ else {"NIX_SSHOPTS": _SSH}

    def of_other_systems(self) -> list[str]:
        """Return the builders that cannot build anything for us (Nix manual, "Remote Builds")."""
        fields = (one.split() for one in self.builders)
        return [
            one[0] for one in fields if len(one) > 1 and one[1] != "-" and SYSTEM not in one[1].split(",")
        ]


def of_project(settings: NixSettings) -> Caches:
    """Return what cog-nix.toml names."""
    return Caches(settings.substituters, settings.trusted_public_keys, settings.builders)


def of_environment(environment: Mapping[str, str]) -> Caches:
    """Return what this user has in the environment."""
    values = [environment.get(name, "") for name in VARIABLES.values()]
    machines = (part.strip() for part in re.split(r"[;\n]", values[2]))
    return Caches(tuple(values[0].split()), tuple(values[1].split()), tuple(filter(None, machines)))


def trusted(environment: Mapping[str, str]) -> Caches:
    """Return what this user has said to count (:func:`trust`)."""
    try:
        data = jsonvalue.mapping_of(jsonvalue.loads(_file(environment).read_bytes()))
        return Caches(*(tuple(map(jsonvalue.text_of, data.get(name, ()))) for name in VARIABLES))
    except (OSError, ValueError, TypeError):
        return Caches()


def trust(caches: Caches, environment: Mapping[str, str]) -> Path:
    """Remember that these count for this user; return where.

    Raises:
        UnwritableError: it cannot be written down.
    """
    file = _file(environment)
    file.parent.mkdir(parents=True, exist_ok=True)
    known = dataclasses.asdict(trusted(environment) + caches)
    write_atomically(file, f"{json.dumps(known, indent=1)}\n".encode())
    return file


def _file(environment: Mapping[str, str]) -> Path:
    folder = environment.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
    return Path(folder) / "cog-nix" / "trusted.json"


def effective(settings: NixSettings, environment: Mapping[str, str]) -> tuple[Caches, Caches]:
    """Return what counts, and what a project names that its user has not said to count."""
    asked = of_project(settings)
    untrusted = asked - trusted(environment)
    return of_environment(environment) + (asked - untrusted), untrusted


def folders(*urls: str) -> list[Path]:
    """Return the folders of this machine that URLs of binary caches stand for."""
    parts = map(urlsplit, urls)
    return [Path(unquote(one.path)) for one in parts if one.scheme == "file"]


def shown(caches: Caches) -> Sequence[str]:
    """Return a line for each of the values."""
    return [f"{name}: {value}" for name in VARIABLES for value in getattr(caches, name)]
