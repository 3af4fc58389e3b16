"""The files of a new project. A file that is there already is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "cog.yaml": """\
# What the model's image is made of. All keys: docs/reference/cog-yaml.md of cog-nix, or https://cog.run/yaml

build:
  # true: the model runs on a GPU; CUDA comes with the Python packages that need it
  gpu: false

  # 3.13, or with a patch level: 3.13.5
  python_version: "3.13"

  # a pip requirements file
  python_requirements: requirements.txt

  # System packages, by their names in Debian
  # system_packages:
  #   - ffmpeg

# file and class of the model
run: "run.py:Runner"
""",
    "requirements.txt": """\
# The model's Python packages, one a line:
# torch==2.7.1
""",
    "run.py": '''\
from cog import BaseRunner, Input


class Runner(BaseRunner):
    def setup(self) -> None:
        """Runs once, before the first prediction: load what takes long here."""
        self.greeting = "Hello"

    def run(
        self,
        text: str = Input(description="Whom to greet"),
        times: int = Input(description="How often", default=1, ge=1, le=10),
    ) -> str:
        """Runs for each prediction."""
        return " ".join([f"{self.greeting}, {text}!"] * times)
''',
    ".dockerignore": """\
# What stays out of the image. .git and .cog do so anyway.
.venv
__pycache__
*.py[co]
""",
}


def create(folder: Path) -> dict[str, bool]:
    """Write the files of a new project.

    Returns:
        For each file, whether it is new.

    Raises:
        CogNixError: a file cannot be written.
    """
    made = {}
    for name, text in FILES.items():
        path = folder / name
        made[name] = not path.exists() and not path.is_symlink()
        if made[name]:
            write_atomically(path, text.encode())
    return made
