"""Where the Docker daemon is: ``DOCKER_HOST``, then the context, then the usual socket.

The context store is read here, because every build asks and the SDK takes 0.2 s to import: ``config.json``
names the current context, ``contexts/meta/<sha256 of its name>/meta.json`` its endpoint.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.errors import RuntimeFailure
from cog_nix.system import jsonvalue
from cog_nix_hooks.docker.failures import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_HOST = "unix:///var/run/docker.sock"


@dataclass(frozen=True)
class Endpoint:
    """A daemon."""

    host: str
    """``unix://…``, ``tcp://…``, ``ssh://…``."""
    tls_dir: Path | None = None
    """A folder with ``ca.pem``, ``cert.pem`` and ``key.pem``."""
    tls_verify: bool = True

    @property
    def socket_path(self) -> str | None:
        """The path of a local socket; None for a daemon elsewhere."""
        return self.host.removeprefix("unix://") if self.host.startswith("unix://") else None

    def local_socket(self) -> str | None:
        """Return the path of a socket that leads to it, also to one behind SSH; None: it is asked over TCP.

        Raises:
            RuntimeFailure: there is no ssh to reach it with.
        """
        if not self.host.startswith("ssh://"):
            return self.socket_path
        from cog_nix_hooks.docker.ssh import local_socket  # noqa: PLC0415 - few daemons are elsewhere

        try:
            return local_socket(self.host)
        except (OSError, ValueError) as error:  # ValueError: it is no URL
            raise UnreachableError(self, error) from error


def find_endpoint(environ: Mapping[str, str] | None = None) -> Endpoint:
    """Return the daemon that the docker command would use.

    Raises:
        RuntimeFailure: ``DOCKER_CONTEXT`` names a context that is not there.
    """
    environ = os.environ if environ is None else environ
    folder = _configuration(environ)
    if host := environ.get("DOCKER_HOST"):
        verify, certificates = bool(environ.get("DOCKER_TLS_VERIFY")), environ.get("DOCKER_CERT_PATH")
        return Endpoint(host, Path(certificates or folder) if verify or certificates else None, verify)
    asked = environ.get("DOCKER_CONTEXT")
    name = asked or _current(folder)
    if name in ("", "default"):
        return Endpoint(DEFAULT_HOST)
    found = _from_context(folder, name)
    if found is None and asked:
        raise RuntimeFailure(
            f'The Docker context "{name}" that DOCKER_CONTEXT names does not exist.',
            hint="`docker context ls` lists the ones that do.",
        )
    return found or Endpoint(DEFAULT_HOST)


def files(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files that :func:`find_endpoint` goes by, also those that are not there."""
    if environ.get("DOCKER_HOST"):
        return ()
    folder = _configuration(environ)
    name = environ.get("DOCKER_CONTEXT") or _current(folder)
    return (str(folder / "config.json"), str(_stored(folder, "meta", name) / "meta.json"))


def _configuration(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME", "/")) / ".docker")


def _stored(folder: Path, kind: str, name: str) -> Path:
    return folder / "contexts" / kind / hashlib.sha256(os.fsencode(name)).hexdigest()


def _from_context(folder: Path, name: str) -> Endpoint | None:
    known = jsonvalue.members(_read(_stored(folder, "meta", name) / "meta.json").get("Endpoints"))
    docker = jsonvalue.members(known.get("docker"))
    if not isinstance(docker.get("Host"), str):
        return None
    tls = _stored(folder, "tls", name) / "docker"
    return Endpoint(docker["Host"], tls if tls.is_dir() else None, tls_verify=not docker.get("SkipTLSVerify"))


def _current(folder: Path) -> str:
    name = _read(folder / "config.json").get("currentContext", "")
    return name if isinstance(name, str) else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        return jsonvalue.members(jsonvalue.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
