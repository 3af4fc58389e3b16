"""What is to be kept: the model's container, and what tells it from others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cog_nix.keep import place
from cog_nix.plugins.spec import ContainerRequest

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class KeepRequest:
    """A model that is to be kept, as it is told to the process that keeps it."""

    container: ContainerRequest
    image: str
    """Id of the image that the container's reference stands for."""
    runtime: str
    title: str
    """Where it runs, as it is told."""
    root: str
    """The project that the image was built from; empty: an image that exists."""
    setup_timeout: float
    keep: int
    """Seconds from the last use to its end."""
    concurrency: int = 1
    """So many predictions at once."""

    @property
    def reference(self) -> str:
        """The image's name, as it was asked for."""
        return self.container.image

    @property
    def slot(self) -> str:
        """What the names of models begin with that stand for the same."""
        return place.slot(self.root, self.reference, self.runtime)

    @property
    def identity(self) -> dict[str, Any]:
        """What has to be equal for a kept model to be the one that is asked for."""
        container = self.container
        return {
            "image": self.image,
            "gpus": container.gpus,
            "env": dict(container.env),
            "mounts": [[str(path), target] for path, target in container.mounts],
            "read_only": [[_files(path), target] for path, target in container.read_only],
            "command": list(container.command) if container.command is not None else None,
        }

    def written(self) -> dict[str, Any]:
        """Return it as :meth:`read` reads it; with the environment in it, so it goes through pipes only."""
        read_only = [[str(path), target] for path, target in self.container.read_only]
        identity = {**self.identity, "read_only": read_only}
        rest = {"runtime": self.runtime, "title": self.title, "root": self.root, "reference": self.reference}
        times = {"setup_timeout": self.setup_timeout, "keep": self.keep, "concurrency": self.concurrency}
        return {**identity, **rest, **times}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Return what :meth:`written` wrote."""
        command = data["command"]
        container = ContainerRequest(
            data["reference"],
            env=data["env"],
            gpus=data["gpus"],
            command=tuple(command) if command is not None else None,
            mounts=tuple((Path(path), target) for path, target in data["mounts"]),
            read_only=tuple((Path(path), target) for path, target in data["read_only"]),
        )
        return cls(
            container,
            data["image"],
            data["runtime"],
            data["title"],
            data["root"],
            data["setup_timeout"],
            data["keep"],
            data["concurrency"],
        )


def _files(path: Path) -> list[list[object]]:
    """Return what tells the files of a mount from others: the same ones are links to the same.

    Weights are mounted as a folder of hard links, which has another name for each container.
    """
    if not path.is_dir():
        return [[str(path)]]
    found = ((one, one.stat()) for one in sorted(path.rglob("*")) if one.is_file())
    return [[one.relative_to(path).as_posix(), info.st_dev, info.st_ino, info.st_size] for one, info in found]
