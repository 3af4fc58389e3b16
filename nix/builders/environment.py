"""The variables that every image sets before the project's own."""

from __future__ import annotations

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIBRARIES = "/usr/lib/x86_64-linux-gnu:/usr/local/nvidia/lib64:/usr/local/nvidia/bin"

BASE = {
    "PATH": PATH,
    "DEBIAN_FRONTEND": "noninteractive",
    "PYTHONUNBUFFERED": "1",
    "LD_LIBRARY_PATH": LIBRARIES,
    "NVIDIA_DRIVER_CAPABILITIES": "all",
}
