"""The table of readers, and how one is tried."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError
from tests.fuzz.archives import ARCHIVES
from tests.fuzz.bills import BILLS
from tests.fuzz.core import CORE
from tests.fuzz.edges import EDGES
from tests.fuzz.hooks import HOOKS
from tests.fuzz.images import COMPARED
from tests.fuzz.weights import WEIGHTS

if TYPE_CHECKING:
    from tests.fuzz.parser import Parser

PARSERS = (*CORE, *EDGES, *HOOKS, *ARCHIVES, *COMPARED, *WEIGHTS, *BILLS)


def attempt(parser: Parser, data: object) -> None:
    """Have a reader read; a value and an error of ours are both fine, anything else is raised."""
    folder = _folder()
    try:
        parser.read(data, folder)
    except CogNixError as error:
        error.shown().encode("utf-8", "backslashreplace")
    except parser.refuses:
        pass
    finally:
        if any(folder.iterdir()):
            shutil.rmtree(folder)
            folder.mkdir()


@cache
def _folder() -> Path:
    """Return a folder that is empty between attempts: making one for each takes half of their time."""
    made = tempfile.TemporaryDirectory(prefix="cog-nix-fuzz-")
    atexit.register(made.cleanup)
    return Path(made.name)
