"""What a daemon refuses, and why one does not answer, as values: its texts are read here and nowhere else."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from cog_nix.errors import RuntimeFailure
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    import docker

    from cog_nix_hooks.docker.endpoint import Endpoint

_WHICH_DAEMON = "DOCKER_HOST and `docker context ls` say which daemon is meant."


class DaemonError(RuntimeFailure):
    """The daemon answered with an error.

    Args:
        said: its message.
        status: of its answer (HTTP); 0: the error came in the middle of its messages.
    """

    def __init__(self, said: str, status: int = 0) -> None:
        super().__init__(f"Docker: {said}")
        self.said, self.status = said, status

    @classmethod
    def read(cls, status: int, body: bytes) -> DaemonError:
        """Return the error of an answer (Docker Engine API, "Errors")."""
        try:
            return cls(str(jsonvalue.loads(body)["message"]), status)
        except (ValueError, KeyError, TypeError):
            return cls(body.decode("utf-8", "replace").strip(), status)


class UnreachableError(RuntimeFailure):
    """No daemon answers."""

    def __init__(self, endpoint: Endpoint, error: Exception) -> None:
        path = endpoint.socket_path
        hint = "Start it (`sudo systemctl start docker`), or point DOCKER_HOST at a running daemon."
        if isinstance(error, PermissionError):
            message = f"You may not use Docker: permission denied at {path}."
            hint = "Add yourself to the group docker (`sudo usermod -aG docker $USER`) and log in again."
        elif isinstance(error, FileNotFoundError) and path and not shutil.which("docker"):
            message = f"Docker is not installed: there is no docker command and no socket at {path}."
            hint = "Install Docker Engine. Building an image without running it needs no Docker."
        elif isinstance(error, FileNotFoundError | ConnectionRefusedError) and path:
            message = f"Docker is not running: nothing listens at {path}."
        else:
            message = f"Docker does not answer at {endpoint.host}: {error or type(error).__name__}"
            hint = f"`docker info` shows whether it is up. {_WHICH_DAEMON}"
        super().__init__(message, hint=hint)
        self.endpoint, self.error = endpoint, error


class NotDockerError(RuntimeFailure):
    """What answers does not speak Docker's API."""

    def __init__(self, path: str, error: Exception) -> None:
        super().__init__(f"What answers {path} is not Docker: {error}", hint=_WHICH_DAEMON)
        self.path, self.error = path, error


class Cause(Enum):
    """Why a daemon does not start a container."""

    NO_GPU_DRIVER = auto()
    NO_IMAGE = auto()
    NO_FOLDER = auto()
    NO_PROGRAM = auto()
    PORT_IN_USE = auto()
    NO_PROFILE = auto()
    """AppArmor's."""
    HOOK = auto()
    """One that joins the network, or brings GPUs (OCI runtime specification, "POSIX-platform Hooks")."""
    OTHER = auto()


_SIGNS = {
    Cause.NO_GPU_DRIVER: "could not select device driver|nvidia-container-cli: initialization error"
    "|CDI device injection failed|unresolvable CDI devices",
    Cause.NO_FOLDER: r"bind source path does not exist: (\S+)|statfs (\S+): no such file",
    Cause.NO_PROFILE: "apparmor",
    Cause.HOOK: "error running hook|error executing hook",
    Cause.NO_PROGRAM: r"not found in \$PATH|executable file not found|no such file or directory",
    Cause.PORT_IN_USE: "port is already allocated|address already in use",
}
"""In the words of Docker, containerd, runc, crun and Podman; the first that fits."""


@dataclass(frozen=True)
class Refusal:
    """A daemon's refusal to start a container."""

    cause: Cause
    said: str
    folder: str = ""
    """The one that its machine does not have."""

    @classmethod
    def read(cls, error: docker.errors.DockerException) -> Refusal:
        """Return what an error of the SDK means."""
        from docker.errors import ImageNotFound  # noqa: PLC0415 - who has one has imported it

        said = str(getattr(error, "explanation", None) or error)
        if isinstance(error, ImageNotFound):
            return cls(Cause.NO_IMAGE, said)
        for cause, signs in _SIGNS.items():
            if found := re.search(signs, said):
                return cls(cause, said, next(filter(None, found.groups()), ""))
        return cls(Cause.OTHER, said)
