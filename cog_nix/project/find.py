"""Where the project is: the nearest folder, from here upwards, that holds the configuration file."""

from __future__ import annotations

from pathlib import Path

from cog_nix.config.model import Project
from cog_nix.errors import ConfigError

CONFIG_FILE = "cog.yaml"

_MISSPELT = ("cog.yml", "Cog.yaml", "cog.YAML", "cog.yaml.txt", "cog.json")


def find_project(start: Path, config_file: str | None = None) -> Project:
    """Find the project that a folder belongs to.

    As upstream does it (``pkg/config/load.go``): the first folder, from ``start`` upwards, in which the file
    exists. A name with a folder in it (``configs/gpu.yaml``) is looked for below each of them, so that the
    project's root is the folder above ``configs``. An absolute path names its project by itself.

    Args:
        start: the folder to begin with, usually the current one.
        config_file: what ``-f`` says; ``cog.yaml`` when None or empty.

    Raises:
        ConfigError: no such file here or above, or it is a folder.
    """
    name = config_file or CONFIG_FILE
    start = Path(start).absolute()
    for folder in (start, *start.parents):
        path = folder / name
        if path.is_dir():
            raise ConfigError(
                f"{path} is a folder", hint=f"Name a file with -f, or rename the folder {name}."
            )
        if path.exists():
            return Project(root=path.parent if Path(name).is_absolute() else folder, config_path=path)
    raise ConfigError(
        f"{name} not found in {start} (or in any parent directories)", hint=_way_out(start, name)
    )


def _way_out(start: Path, name: str) -> str:
    found = next((other for other in _MISSPELT if (start / other).is_file()), None)
    if name == CONFIG_FILE and found:
        return (
            f"There is a {found} here: rename it to {CONFIG_FILE}, or run the command again with -f {found}."
        )
    if name == CONFIG_FILE:
        return "Change to the folder of a Cog model, or create a cog.yaml here with `cog-nix init`."
    return "Check the name after -f; it is looked for below this folder and below each one above it."
