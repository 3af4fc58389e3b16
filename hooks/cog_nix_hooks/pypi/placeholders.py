"""Empty packages in place of heavy ones that a source's build asks for, while it is asked what it requires.

``setup_requires=["torch"]`` (basicsr and what is built on it) makes uv install the newest torch, with CUDA,
to run a ``setup.py`` that imports it where it compiles something. Nobody does that to learn what a package
requires, and it is 3.3 GB. uv takes build requirements from where a constraint says (``--build-constraint``).
A ``setup.py`` that needs more than an empty package is read, or else asked again with the real one.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

_HEAVY = ("tensorflow", "torch", "torchaudio", "torchvision")
_VERSION = "9999"
"""Whatever is asked for at least."""
_CLOCK = (1980, 1, 1, 0, 0, 0)


def constraints(folder: Path) -> Path:
    """Write the empty packages; return the path of a file that puts them in the place of the real ones.

    Args:
        folder: where they are kept: uv remembers them by their paths.
    """
    lines = []
    for name in _HEAVY:
        path = folder / f"{name}-{_VERSION}-py3-none-any.whl"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, _wheel(name))
        lines.append(f"{name} @ {path.absolute().as_uri()}\n")
    file = folder / "constraints.txt"
    if not file.exists():
        write_atomically(file, "".join(lines).encode())
    return file


def _wheel(name: str) -> bytes:
    """Return a wheel (binary distribution format) without any file of its own."""
    about = f"{name}-{_VERSION}.dist-info"
    tag = "Root-Is-Purelib: true\nTag: py3-none-any\n"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {_VERSION}\n",
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: cog-nix\n{tag}",
        "RECORD": "".join(f"{about}/{one},,\n" for one in ("METADATA", "WHEEL", "RECORD")),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for one, text in files.items():
            archive.writestr(zipfile.ZipInfo(f"{about}/{one}", _CLOCK), text)
    return content.getvalue()
