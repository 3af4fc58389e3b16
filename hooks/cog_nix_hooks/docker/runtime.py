"""The :class:`cog_nix.plugins.spec.Runtime` on a Docker daemon."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cog_nix.cdi.failures import MissingDeviceDriverError
from cog_nix.errors import ImageError, RuntimeFailure
from cog_nix.image.description import with_tag
from cog_nix.plugins.spec import Held
from cog_nix_hooks.docker.archive import load_image
from cog_nix_hooks.docker.endpoint import files, find_endpoint
from cog_nix_hooks.docker.engine import Engine, Refused, sdk_client, unreachable
from cog_nix_hooks.docker.images import Images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cog_nix.plugins.spec import Container, ContainerRequest, Worker, WorkerRequest
    from cog_nix.report import Reporter
    from cog_nix_hooks.docker.endpoint import Endpoint


ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - where no address is known that only containers reach


class DockerRuntime:
    """Docker, wherever ``DOCKER_HOST`` or the current context says it is.

    Nothing is contacted before a method needs the daemon.
    """

    name = "docker"
    title = "Docker"
    shares_network = False

    @cached_property
    def endpoint(self) -> Endpoint:
        """Where the daemon is."""
        return find_endpoint()

    @cached_property
    def _engine(self) -> Engine:
        return Engine(self.endpoint)

    @cached_property
    def _images(self) -> Images:
        return Images(self._engine, podman=self.name == "podman")

    @cached_property
    def _loaded(self) -> dict[str, str]:
        """Ids of images by the name that they were given a moment ago."""
        return {}

    def close(self) -> None:
        """Close what is open; afterwards the runtime can still be used."""
        self.__dict__.pop("_images", None)
        engine: Engine | None = self.__dict__.pop("_engine", None)
        if engine:
            engine.close()

    def available(self) -> str | None:
        """Return None when the daemon answers, otherwise why not, in a sentence."""
        try:
            self._engine.ping()
        except RuntimeFailure as error:
            return error.message
        return None

    def image_id(self, reference: str) -> str | None:
        """Return the id of a held image, or None.

        Raises:
            RuntimeFailure: the daemon cannot be reached.
        """
        image = self._inspect(reference)
        return str(image["Id"]) if image else None

    def held(self, reference: str) -> Held | None:
        """Return how to ask for an image without this module; None for a daemon elsewhere.

        Of an image that was just loaded it is known what the daemon would answer, the first time.
        """
        socket = self.endpoint.socket_path
        found = (self._loaded.pop(reference, None) or self.image_id(reference)) if socket else None
        if socket is None or found is None:
            return None
        return Held(found, socket, f"/images/{quote(reference, safe='/:@')}/json", files(os.environ))

    def image_labels(self, reference: str) -> dict[str, str]:
        """Return a held image's labels.

        Raises:
            ImageError: there is no such image.
            RuntimeFailure: the daemon cannot be reached.
        """
        return (self.image_attributes(reference).get("Config") or {}).get("Labels") or {}

    def image_attributes(self, reference: str) -> dict[str, Any]:
        """Return what the daemon knows of a held image.

        Raises:
            ImageError: there is no such image.
            RuntimeFailure: the daemon cannot be reached.
        """
        image = self._inspect(reference)
        if image is None:
            raise ImageError(
                f"Docker holds no image {reference}.",
                hint=f"Pull it (`docker pull {reference}`) or build it first.",
            )
        return image

    def listening_address(self) -> str:
        """Return this machine's address on Docker's default bridge, any address if it has none here."""
        network = self._engine.get("/networks/bridge") or {}
        for entry in (network.get("IPAM") or {}).get("Config") or ():
            if "Gateway" in entry:
                return str(entry["Gateway"])
        return ALL_ADDRESSES

    def load(self, image: Path, tags: Sequence[str], reporter: Reporter) -> str:
        """Take an image from the store; see :func:`cog_nix_hooks.docker.archive.load_image`."""
        loaded = load_image(
            self._engine, image, tags, reporter, images=self._images, afterwards=self._meanwhile
        )
        self._loaded.update(dict.fromkeys(tags, loaded))
        return loaded

    def _meanwhile(self, do: Callable[[], None]) -> None:
        """Do something while the command goes on; it ends when this has ended."""
        if not self.endpoint.socket_path:  # there may be one connection for all requests
            do()
            return

        def tidy() -> None:
            with suppress(RuntimeFailure):  # the image is loaded, and that is what was asked for
                do()

        threading.Thread(target=tidy).start()

    def expect(self, reference: str) -> None:
        """Prepare for an image that is still being made and will be loaded under a name that another has.

        Raises:
            RuntimeFailure: the daemon cannot be reached.
        """
        self._images.expect(reference)

    def pull(self, reference: str, reporter: Reporter) -> None:
        """Fetch an image from its registry, with the credentials that ``docker login`` left.

        Raises:
            ImageError: it cannot be fetched.
        """
        import docker  # noqa: PLC0415 - costs 0.2 s

        repository, _, tag = with_tag(reference).rpartition(":")
        reporter.step(f"Pulling {reference}")
        client = sdk_client(self.endpoint)
        try:
            for message in client.pull(repository, tag, stream=True, decode=True, platform="linux/amd64"):
                if "error" in message:
                    raise _not_pulled(reference, str(message["error"]))
                reporter.log(" ".join(str(message[key]) for key in ("id", "status") if key in message))
        except docker.errors.APIError as error:
            raise _not_pulled(reference, str(error.explanation or error)) from error
        except (docker.errors.DockerException, OSError) as error:
            raise unreachable(self.endpoint, error) from error
        finally:
            client.close()

    def start(self, request: ContainerRequest) -> Container:
        """Start a container; see :func:`cog_nix_hooks.docker.container.start_container`.

        A daemon without NVIDIA's device driver is asked for GPUs by their CDI names, where it knows such.
        """
        from cog_nix_hooks.docker.container import start_container  # noqa: PLC0415 - imports the SDK
        from cog_nix_hooks.docker.devices import by_name, known_to_docker  # noqa: PLC0415 - as above

        try:
            return start_container(sdk_client(self.endpoint), request, socket_path=self.endpoint.socket_path)
        except MissingDeviceDriverError:
            names = known_to_docker(request.gpus or "", self._engine.get("/info"))
            if not names:
                raise
        return start_container(
            sdk_client(self.endpoint), request, by_name(names), socket_path=self.endpoint.socket_path
        )

    def start_worker(self, request: WorkerRequest) -> Worker:
        """Start a container that may make namespaces; see :mod:`cog_nix_hooks.docker.worker`."""
        from cog_nix_hooks.docker.worker import start_worker  # noqa: PLC0415 - imports the SDK

        info = self._engine.get("/info")
        return start_worker(sdk_client(self.endpoint), request, info, podman=self.name == "podman")

    def _inspect(self, reference: str) -> dict[str, Any] | None:
        try:
            image: dict[str, Any] | None = self._engine.get(f"/images/{reference}/json")
        except Refused as error:
            raise ImageError(f"Docker cannot look up the image {reference!r}: {error.message}") from error
        return image


def _not_pulled(reference: str, why: str) -> ImageError:
    return ImageError(
        f"failed to pull image {reference}: {why}",
        hint="Check the name, and `docker login` if it is private.",
    )
