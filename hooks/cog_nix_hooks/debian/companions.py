"""Facts about Python packages that ELF files do not tell.

Each entry was taken from the package's own documentation or source (``ctypes``, ``cffi`` and ``subprocess``
calls). Libraries are named by soname: what the package is called differs from suite to suite.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LOADED: Mapping[str, tuple[str, ...]] = {
    "cairocffi": ("libcairo.so.2",),  # ffi.dlopen; so does CairoSVG, through it
    "phonemizer": ("libespeak-ng.so.1",),  # its default backend, by ctypes
    "pyenchant": ("libenchant-2.so.2",),  # ctypes; its wheels bring it for Windows and macOS alone
    "pyfluidsynth": ("libfluidsynth.so.3",),  # ctypes.util.find_library
    "pyopengl": ("libGL.so.1", "libEGL.so.1"),  # ctypes, whichever PYOPENGL_PLATFORM asks for
    "python-magic": ("libmagic.so.1",),  # ctypes
    "pyusb": ("libusb-1.0.so.0",),  # ctypes, the first backend it looks for
    "pyzbar": ("libzbar.so.0",),  # ctypes
    "sounddevice": ("libportaudio.so.2",),  # ffi.dlopen; its wheels bring it for Windows and macOS alone
    "wand": ("libMagickWand-7.Q16.so.10", "libMagickWand-6.Q16.so.6"),  # ctypes, whichever is there
    "weasyprint": (  # ffi.dlopen, weasyprint/text/ffi.py
        "libgobject-2.0.so.0",
        "libpango-1.0.so.0",
        "libharfbuzz.so.0",
        "libharfbuzz-subset.so.0",
        "libfontconfig.so.1",
        "libpangoft2-1.0.so.0",
    ),
}
"""Libraries that a Python package loads at run time."""

LINKED: Mapping[str, tuple[str, ...]] = {
    "mysqlclient": ("libmariadb.so.3",),
    "psycopg2": ("libpq.so.5",),
    "pyaudio": ("libportaudio.so.2",),
    "pycairo": ("libcairo.so.2",),
    "pygraphviz": ("libcgraph.so.6", "libgvc.so.6"),
    "python-ldap": ("libldap.so.2", "libldap-2.5.so.0"),
}
"""Libraries that a Python package without wheels links to when it is built, under all names they go by."""

STARTED: Mapping[str, tuple[str, str]] = {
    "ffmpeg-python": ("ffmpeg", "ffmpeg"),
    "graphviz": ("dot", "graphviz"),
    "pdf2image": ("pdftoppm", "poppler-utils"),
    "pytesseract": ("tesseract", "tesseract-ocr"),
}
"""The program that a Python package does nothing without, and the Debian package that has it."""

COMPILED: Mapping[str, tuple[tuple[str, str], ...]] = dict.fromkeys(
    ("triton", "pytorch-triton"),
    (("gcc", "gcc"), ("g++", "g++"), ("Python.h", "libpython{minor}-dev")),
)
"""What a Python package compiles with at run time, on a GPU: program or header, and the Debian package of it.

Triton compiles a launcher for each kernel with ``gcc`` (triton/runtime/build.py); ``torch.compile``, which
needs Triton there, compiles what stays on the CPU with ``g++`` (torch/_inductor/cpp_builder.py)."""

_OPTIONAL: tuple[tuple[str, str], ...] = (
    # Qt loads a plugin when somebody asks for what it does: databases, printers, desktops' themes. Without a
    # platform no GUI starts, so those count. QML modules are plugins as well.
    (r".*", r"(^|/)qt[56]?/(plugins/(?!platforms/)|qml/)"),
    (r"pyqt5-qt5", r"/libQt5MultimediaGstTools\.so"),  # used by a plugin alone
    (r"numba", r"/tbbpool\."),  # one of three threading layers; the two others need nothing
    (r"onnxruntime.*", r"_providers_(tensorrt|openvino|nv_tensorrt_rtx)\.so"),  # when a session asks for it
    (r"cupy-cuda.*", r"/_?cutensor\."),  # an accelerator, when somebody asks for it
    (r"bitsandbytes", r"/libbitsandbytes_(rocm|hip|xpu|npu)"),  # one of several, by the GPU that is there
    (r"open3d.*", r"/open3d_(torch|tf)_ops\."),  # when open3d.ml.torch or .tf is imported
    # tried in turn, one for each FFmpeg; torchaudio goes without
    (r"torchaudio", r"^torio/lib/|/_?(lib)?torchaudio_(sox|ffmpeg[0-9]?)\.so"),
)

_DRIVER = re.compile(r"^lib(cuda|nvidia-[a-z-]+|nvcuvid|nvoptix|EGL_nvidia|GLX_nvidia)\.so(\.|$)")
"""Libraries of NVIDIA's driver: the host puts them into the container (nvidia-container-toolkit)."""


def is_optional(owner: str, path: str) -> bool:
    """Tell whether a program goes on without a file.

    Args:
        owner: normalised name of the Python package.
        path: below ``site-packages``.
    """
    return any(
        re.fullmatch(name, owner) and re.search(pattern, path, re.IGNORECASE) for name, pattern in _OPTIONAL
    )


def is_from_host(soname: str) -> bool:
    """Tell whether the host brings a library when the container starts."""
    return _DRIVER.match(soname) is not None
