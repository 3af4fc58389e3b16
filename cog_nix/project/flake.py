"""A project's own ``flake.nix``: its image as a package, and as a program for ``nix run``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.errors import ConfigError
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

NAME = "flake.nix"
IGNORE = ".dockerignore"
LEFT_OUT = (NAME, "flake.lock")
"""What is no part of the model; otherwise each update of an input would make another image."""

_TEXT = """\
{
  description = @description@;

  inputs.cog-nix.url = @input@;

  outputs =
    { self, cog-nix }:
    let
      # The commit that is checked out, as `cog-nix build` has it.
      revision = self.rev or (builtins.substring 0 40 (self.dirtyRev or ""));
      image = system: cog-nix.lib.image {
        inherit system;
        project = ./.;
        config = @config@;
        name = @name@;
        tag = @tag@;
        labels = if revision == "" then { } else { "org.opencontainers.image.revision" = revision; };
      };
    in
    {
      # nix build && ./result | docker load
      packages = cog-nix.lib.forSystems (system: { default = image system; });

      # nix run | docker load
      apps = cog-nix.lib.forSystems (system: {
        default = {
          type = "app";
          program = "${image system}";
        };
      });
    };
}
"""
_PLACE = re.compile("@([a-z]+)@")


class FlakeExistsError(ConfigError):
    """A project has a flake of its own already.

    Args:
        path: of it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(hint="To replace it:  cog-nix flake init --force")
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} is there already."


@dataclass(frozen=True)
class Values:
    """What a project's flake says of it."""

    input: str
    """Reference of cog-nix's own flake."""
    name: str
    """Of the image in the store."""
    tag: str
    """Reference that the image is loaded under."""
    config: str
    """Name of the configuration file."""


def text(values: Values) -> str:
    """Return the text of ``flake.nix``."""
    said = {**vars(values), "description": f"The image of {values.tag}"}
    return _PLACE.sub(lambda found: literal(said[found[1]]), _TEXT)


def literal(value: str) -> str:
    """Return a text as Nix writes it (Nix manual, "String literal")."""
    return json.dumps(value, ensure_ascii=False).replace("${", "\\${")


def create(root: Path, values: Values, *, force: bool = False) -> tuple[str, ...]:
    """Write a project's flake, and keep it out of the image.

    Args:
        root: the project's folder.
        values: what it says.
        force: whether a file that is there is replaced.

    Returns:
        Names that the user has to add to the ignore file, since that is there already.

    Raises:
        FlakeExistsError: there is a flake already.
        UnwritableError: the folder cannot be written to.
    """
    path, ignored = root / NAME, root / IGNORE
    if not force and (path.exists() or path.is_symlink()):
        raise FlakeExistsError(path)
    write_atomically(path, text(values).encode())
    if not ignored.exists():
        write_atomically(ignored, "".join(f"{name}\n" for name in LEFT_OUT).encode())
        return ()
    lines = ignored.read_text(encoding="utf-8", errors="replace").split()
    return tuple(name for name in LEFT_OUT if name not in lines)
