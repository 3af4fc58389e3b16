"""Tells what is around it."""

import os
import sys
from pathlib import Path

import helper
from cog import BaseRunner


class Runner(BaseRunner):
    def run(self) -> dict:
        return {
            "here": str(Path.cwd()),
            "files": sorted(
                path.name for path in Path.cwd().iterdir() if not path.name.startswith((".", "__"))
            ),
            "helper": helper.WORD,
            "greeting": os.environ["GREETING"],
            "home": os.environ.get("HOME"),
            "user": os.getuid(),
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        }
