"""The image under test: what its manifest and labels say, and which promises they bring into play."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cog_nix.check.result import Broken
from cog_nix.system.jsonvalue import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SCHEMA_LABEL = "run.cog.openapi_schema"
CONFIG_LABEL = "run.cog.config"
_FIRST_WITH_COGLET = (0, 17)


@dataclass(frozen=True)
class Image:
    """An image as Docker describes it."""

    reference: str
    attributes: Mapping[str, Any]
    read_only: bool = False
    """Whether it is tried so that nothing but /tmp can be written to, whoever runs it."""

    @property
    def user(self) -> str:
        """Who runs it, as its configuration has it; "" for root."""
        user = str(self.config.get("User") or "").partition(":")[0]
        return "" if user in {"0", "root"} else user

    @property
    def sealed(self) -> bool:
        """Whether it does without writing to its own files: where it is told, and where it is not root's."""
        return self.read_only or bool(self.user)

    @property
    def config(self) -> Mapping[str, Any]:
        """The image configuration (OCI image specification, ``config``)."""
        config: Mapping[str, Any] = self.attributes["Config"]
        return config

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.config.get("Labels") or {}

    @property
    def env(self) -> Mapping[str, str]:
        """Its environment."""
        return dict(entry.split("=", 1) for entry in self.config.get("Env") or ())

    @cached_property
    def schema(self) -> Mapping[str, Any]:
        """The OpenAPI document in its label."""
        return self.json_label(SCHEMA_LABEL)

    @cached_property
    def cog_config(self) -> Mapping[str, Any]:
        """The completed cog.yaml in its label."""
        return self.json_label(CONFIG_LABEL)

    def json_label(self, name: str) -> Mapping[str, Any]:
        """Return a label that holds a JSON object.

        Raises:
            Broken: it is missing or malformed.
        """
        try:
            value = loads(self.labels[name])
        except KeyError as error:
            raise Broken(f"label {name} is missing") from error
        except ValueError as error:
            raise Broken(f"label {name} is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise Broken(f"label {name} is not a JSON object")
        return value

    @property
    def sdk(self) -> str:
        """The version of Cog's SDK, as its label has it; "" without one."""
        return self.labels.get("run.cog.version", "")

    @property
    def has_coglet(self) -> bool:
        """Whether coglet serves it: the SDKs before 0.17 bring a server of their own."""
        numbers = re.match(r"(\d+)\.(\d+)", self.sdk)
        return numbers is None or (int(numbers[1]), int(numbers[2])) >= _FIRST_WITH_COGLET

    @property
    def streams(self) -> bool:
        """Whether the model opted in to server-sent events (``@cog.streaming``)."""
        post = self.schema.get("paths", {}).get("/predictions", {}).get("post", {})
        return bool(post.get("x-cog-streaming"))

    @property
    def trains(self) -> bool:
        """Whether the model can be trained."""
        return "TrainingInput" in self.schema.get("components", {}).get("schemas", {})

    @property
    def uses_gpu(self) -> bool:
        """Whether cog.yaml says ``gpu: true``."""
        return bool(self.cog_config.get("build", {}).get("gpu"))

    @property
    def wants_gpu(self) -> bool:
        """The same, of an image that may say nothing."""
        try:
            return self.uses_gpu
        except (Broken, AttributeError):
            return False


FACTS: Mapping[str, tuple[Callable[[Image], bool], str]] = {
    "streaming": (lambda image: image.streams, "the model does not stream"),
    "no streaming": (lambda image: not image.streams, "the model streams"),
    "training": (lambda image: image.trains, "the model cannot be trained"),
    "no training": (lambda image: not image.trains, "the model can be trained"),
    "writable": (
        lambda image: not image.sealed,
        "it is tried with its files read-only",
    ),
    "gpu": (lambda image: image.uses_gpu, "the model uses no GPU"),
}
"""What a case may need of an image, and what to say when it is not so."""
