import ctypes
from pathlib import Path

FOLDER = Path(__file__).parent
ARCHITECTURES = (FOLDER / "architectures.txt").read_text()


def devices() -> int:
    return ctypes.CDLL(str(FOLDER / "libscaled.so")).devices()
