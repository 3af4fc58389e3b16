"""An image of a few files, with the databases that dpkg and pip keep."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from tests.compare.samples import docker_archive, image

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.compare.subject import Subject

STATUS = """\
Package: bash
Status: install ok installed
Essential: yes
Version: 5.2-1
Pre-Depends: libc6 (>= 2.36)

Package: libc6
Status: install ok installed
Version: 2.41-12
Description: GNU C Library
 Depends: nothing

Package: ffmpeg
Status: install ok installed
Version: 7:7.1-1
Depends: libavcodec61 (= 7:7.1-1) | libavcodec-extra61, libc6, codec-virtual

Package: libavcodec61
Status: install ok installed
Version: 7:7.1-1

Package: codecs
Status: install ok installed
Version: 1-1
Provides: codec-virtual (= 1)

Package: gone
Status: deinstall ok config-files
Version: 1
"""
SITE = "usr/local/lib/python3.13/site-packages"
CONFIG = {
    "build": {
        "python_version": "3.13",
        "system_packages": ["ffmpeg"],
        "python_requirements": "requirements.txt",
        "run": ["make everything"],
    }
}
BASE = {
    "bin/bash": b"b" * 5000,
    "usr/lib/x86_64-linux-gnu/libc.so.6": b"c" * 9000,
    "var/lib/dpkg/info/bash.list": b"/.\n/bin\n/bin/bash\n",
    "var/lib/dpkg/info/libc6:amd64.list": b"/lib/x86_64-linux-gnu/libc.so.6\n",
    "etc/passwd": b"root",
}
SYSTEM = {
    "usr/bin/ffmpeg": b"f" * 100_000,
    "usr/lib/libavcodec.so": bytes(range(256)) * 1000,
    "usr/lib/codecs.so": b"x",
    "var/lib/dpkg/info/ffmpeg.list": b"/usr/bin/ffmpeg\n",
    "var/lib/dpkg/info/libavcodec61.list": b"/usr/lib/libavcodec.so\n",
    "var/lib/dpkg/info/codecs.list": b"/usr/lib/codecs.so\n",
    "var/lib/dpkg/status": STATUS.encode(),
}


def distribution(name: str, version: str, *requires: str, **files: bytes) -> dict[str, bytes]:
    """Return the files of an installed Python package."""
    info = f"{SITE}/{name}-{version}.dist-info"
    lines = "".join(f"Requires-Dist: {one}\n" for one in requires)
    contents = {
        f"{SITE}/{path.replace('__', '/').replace('_py', '.py')}": data for path, data in files.items()
    }
    record = "".join(f"{path.removeprefix(SITE + '/')},,\n" for path in contents)
    record += f"{name}-{version}.dist-info/METADATA,,\n{name}-{version}.dist-info/RECORD,,\n"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{lines}\nRequires-Dist: text\n"
    return {**contents, f"{info}/METADATA": metadata.encode(), f"{info}/RECORD": record.encode()}


PYTHON = {
    **distribution("cog", "0.23.1", "coglet>=1", cog__init_py=b"#" * 4000),
    **distribution("coglet", "0.23.1", coglet__init_py=b"#"),
    **distribution(
        "Torch.Vision", "2.0", "numpy (>=1.0)", 'pytest; extra == "test"', torchvision__a_py=b"#" * 70_000
    ),
    **distribution("numpy", "2.2", numpy__core_py=b"#" * 100),
    **distribution("pytest", "8.0", pytest__core_py=b"#"),
    f"{SITE}/numpy/__pycache__/core.cpython-313.pyc": b"0" * 200,
    f"{SITE}/numpy/generated.txt": b"made while it was installed",
    "usr/local/bin/python": b"p" * 3000,
}
MADE = {"opt/made": b"m" * 10_000, "etc/passwd": b"root and more"}
SOURCE = {
    "src/run.py": b"print()",
    "src/requirements.txt": b"# what it needs\ntorch_vision==2.0\n-r other.txt\n",
    "usr/lib/.wh.codecs.so": b"",
}
NAMES = ("base", "system-packages", "python-packages", "run-0", "source")


def tar(files: dict[str, bytes]) -> bytes:
    """Return a layer: its folders first, as layers have them."""
    sink = io.BytesIO()
    folders = sorted(
        {"/".join(path.split("/")[:count]) for path in files for count in range(1, path.count("/") + 1)}
    )
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for path in folders:
            info = tarfile.TarInfo(path)
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return sink.getvalue()


LAYERS = [tar(one) for one in (BASE, SYSTEM, PYTHON, MADE, SOURCE)]
LABELS = {"run.cog.config": json.dumps(CONFIG)}


def sample(**options: Any) -> Subject:
    """Return the image in memory, with the names of its layers in its history."""
    made = image(*LAYERS, title="sample", Labels=LABELS, **options)
    made.config["history"] = [
        *({"created_by": f"cog-nix: {name}"} for name in NAMES),
        {"created_by": "CMD", "empty_layer": True},
    ]
    return made


def archive(path: Path, layers: list[bytes] | None = None) -> Path:
    """Write it as ``docker save`` does."""
    return docker_archive(path, layers or LAYERS, Labels=LABELS)
