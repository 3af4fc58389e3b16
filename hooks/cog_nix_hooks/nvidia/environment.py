"""Variables of images that run on a GPU.

Sources: ``PATH`` and ``LD_LIBRARY_PATH`` of the CUDA base images (NVIDIA's public Dockerfiles of
``nvidia/cuda``), on which upstream builds. The toolkit mounts a driver's files one by one; some platforms
(Google's among them) mount its folder at /usr/local/nvidia instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.config.environment import IMAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROGRAMS = "/usr/local/nvidia/bin"
_LIBRARIES = "/usr/local/nvidia/lib:/usr/local/nvidia/lib64"


def environment() -> Mapping[str, str]:
    """Return the variables that differ from those of other images."""
    return {
        "PATH": f"{_PROGRAMS}:{IMAGE['PATH']}",
        "LD_LIBRARY_PATH": f"{_LIBRARIES}:{IMAGE['LD_LIBRARY_PATH']}",
    }
