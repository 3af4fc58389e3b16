"""Image references, by the rules of the library that upstream uses (go-containerregistry, package name)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cog_nix.errors import ConfigError

DOCKER_HUB = "index.docker.io"
"""What ``docker.io``, and a reference without a registry, stand for."""

_REPOSITORY = re.compile(r"[a-z0-9_./-]{2,255}")
_TAG = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")


@dataclass(frozen=True)
class Reference:
    """An image in a registry; has a tag or a digest."""

    registry: str
    """Host, with the port when it was named."""
    repository: str
    tag: str = ""
    digest: str = ""
    """``sha256:…``."""

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @classmethod
    def parse(cls, text: str, *, default_tag: str = "latest") -> Reference:
        """Read ``[registry/]repository[:tag][@digest]``.

        Raises:
            ConfigError: it is no reference, in upstream's words.
        """
        base, at, digest = text.partition("@")
        head, colon, tag = base.rpartition(":")
        if colon and "/" not in tag:
            base = head
        else:
            tag = ""
        registry, repository = split(base)
        right = (
            is_repository(repository)
            and _HOST.fullmatch(registry)
            and (_DIGEST.fullmatch(digest) or not at)
            and (_TAG.fullmatch(tag) or not tag)
        )
        if not right:
            raise ConfigError(
                f'invalid image reference "{text}": could not parse reference: {text}',
                hint="Write it as registry.example.org/your-name/model:tag; names are in lower case.",
            )
        if digest:
            return cls(registry, repository, digest=digest)
        return cls(registry, repository, tag=tag or default_tag)


def split(name: str) -> tuple[str, str]:
    """Split a name without tag into registry and repository, Docker Hub where it names no registry."""
    first, slash, rest = name.partition("/")
    registry, repository = (first, rest) if slash and is_host(first) else (DOCKER_HUB, name)
    if registry == "docker.io":
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    return registry, repository


def is_host(text: str) -> bool:
    """Whether the first part of a name is a registry."""
    return "." in text or ":" in text or text == "localhost"


def is_repository(text: str) -> bool:
    """Whether a repository may be called so."""
    parts = text.removeprefix("library/").split("/")
    return bool(_REPOSITORY.fullmatch(text) and _REPOSITORY.fullmatch("/".join(parts)) and all(parts))
