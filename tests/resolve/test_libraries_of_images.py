"""Wheels that link to libraries of the system import in an image whose project names no system package."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import cog_nix

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).parent / "projects/nothing-named"

pytestmark = [pytest.mark.nix, pytest.mark.docker, pytest.mark.network]

_QT = """
from PyQt5 import QtGui, QtMultimedia, QtWidgets
application = QtWidgets.QApplication([])
label = QtWidgets.QLabel("hello")
label.show()
print(application.platformName(), label.grab().width() > 0)
"""
_SOUND = """
import io, soundfile
file = io.BytesIO()
soundfile.write(file, [0.0, 0.5], 8000, format="WAV")
print(len(soundfile.read(io.BytesIO(file.getvalue()))[0]))
"""
_UNRESOLVED = """
import ctypes, pathlib, sys
import PyQt5
plugin = pathlib.Path(PyQt5.__file__).parent / "Qt5/plugins/platforms/libqxcb.so"
print(ctypes.CDLL(plugin) is not None)
"""


@pytest.mark.parametrize(
    ("program", "printed"),
    [
        (
            "import cv2; print(cv2.cvtColor(cv2.UMat(2, 2, cv2.CV_8UC3), cv2.COLOR_BGR2GRAY).get().shape)",
            "(2, 2)",
        ),
        (_QT, "offscreen True"),
        (_UNRESOLVED, "True"),
        ("import magic; print(magic.from_buffer(b'%PDF-1.4'))", "PDF document, version 1.4"),
        ("import pyzbar.pyzbar; print(pyzbar.pyzbar.ZBarSymbol.QRCODE.value)", "64"),
        (_SOUND, "2"),
    ],
    ids=["opencv", "qt-offscreen", "qt-on-x11-loads", "magic", "zbar", "soundfile"],
)
def test_it_works_in_the_image(build_project: Callable[[Path], str], program: str, printed: str) -> None:
    command = ["docker", "run", "--rm", "-e", "QT_QPA_PLATFORM=offscreen", build_project(PROJECT)]
    done = subprocess.run(
        [*command, "python", "-c", program], capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stdout.strip()) == (0, printed), done.stderr


def test_the_lock_tells_who_asked(tmp_path: Path) -> None:
    for file in PROJECT.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    said = cog_nix("lock", cwd=tmp_path).stderr
    assert "Adding libgl1: opencv-python links to libGL.so.1\n" in said
    assert "Adding libzbar0t64: pyzbar loads libzbar.so.0\n" in said
    explained = cog_nix("lock", "--explain", "libgl1", cwd=tmp_path).stdout
    assert "needs libGL.so.1\n" in explained
    assert "opencv-python is asked for in requirements.txt:2\n" in explained
    assert "Adding" not in cog_nix("lock", "--upgrade", "pyzbar", cwd=tmp_path).stderr
