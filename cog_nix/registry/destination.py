"""Where a push goes: the argument, ``image`` or ``model`` of cog.yaml, and the ``COG_MODEL*`` variables.

The rules and the sentences are upstream's (docs/environment.md, "Model reference and registry variables").
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.errors import ConfigError
from cog_nix.registry.reference import Reference, is_repository, split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix.config.model import Config

REPLICATE = "r8.im"
IMAGE_TAG = "cog-image."
"""Before a bundle's tag: the tag of the image in it."""

_RESERVED = "cog-"
_TAG = r"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$"
_NOWHERE = (
    "To push images, you must either set the 'image' option in cog.yaml or pass an image name as an argument."
    " For example, 'cog push registry.example.com/your-username/model-name'"
)
_CONFLICT = """\
'image' in cog.yaml cannot be combined with COG_MODEL* env vars
  remove 'image' from cog.yaml (use 'model' instead), or
  unset COG_MODEL, COG_MODEL_REGISTRY, COG_MODEL_REPO, COG_MODEL_TAG"""


class VariableError(ConfigError):
    """A variable of the environment that says where to push to cannot be used.

    Args:
        name: the variable's.
        value: what it says; empty: the problem shows it.
        problem: what is wrong with that.
        hint: what to do next.
    """

    def __init__(self, name: str, value: str, problem: str, *, hint: str = "") -> None:
        super().__init__(hint=hint)
        self.name, self.value, self.problem = name, value, problem

    def __str__(self) -> str:
        shown = f'"{self.value}"' if self.value else "value"
        return f"invalid {self.name} {shown}: {self.problem}"


@dataclass(frozen=True)
class Destination:
    """Where an image is pushed to."""

    target: str
    """As people are told."""
    reference: Reference
    bundle: bool = False
    """An OCI index with the image in it, as projects with ``model:`` push; otherwise the image itself."""

    @property
    def image(self) -> Reference:
        """Where the image itself goes."""
        ref = self.reference
        return Reference(ref.registry, ref.repository, IMAGE_TAG + ref.tag) if self.bundle else ref


def resolve(config: Config, target: str | None, environment: Mapping[str, str]) -> Destination:
    """Say where the image of a project goes.

    Args:
        config: ``image`` or ``model``.
        target: the command's argument; it counts before everything else.
        environment: ``COG_MODEL``, ``COG_MODEL_REGISTRY``, ``COG_MODEL_REPO``, ``COG_MODEL_TAG`` and
            ``COG_REGISTRY_HOST``.

    Raises:
        ConfigError: there is nowhere to push to, or it is no place to push to.
    """
    if target and config.model:
        return _bundle_target(target)
    if target:
        return Destination(target, _tagged(Reference.parse(target), target))
    found = _from_environment(config, environment)
    if found:
        if config.image:
            raise ConfigError(_CONFLICT)
        return Destination(str(found), _tagged(found, str(found)), bundle=True)
    if not config.image:
        raise ConfigError(_NOWHERE)
    return Destination(config.image, _tagged(Reference.parse(config.image), config.image))


def timestamp_tag() -> str:
    """Return the time as a tag: ISO 8601, basic form, UTC."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def _bundle_target(target: str) -> Destination:
    reference = _tagged(Reference.parse(target, default_tag=timestamp_tag()), target)
    if problem := _tag_problem(reference.tag):
        raise ConfigError(f'invalid bundle push target "{target}": tag "{reference.tag}": {problem}')
    return Destination(str(reference), reference, bundle=True)


def _tagged(reference: Reference, target: str) -> Reference:
    if reference.digest:
        raise ConfigError(f'cannot push to digest-pinned target "{target}": use a tag instead')
    return reference


def _from_environment(config: Config, environment: Mapping[str, str]) -> Reference | None:
    """Return the bundle that cog.yaml's ``model`` and the environment name."""
    full = environment.get("COG_MODEL", "")
    if full:
        try:
            return Reference.parse(full, default_tag=timestamp_tag())
        except ConfigError as error:
            raise VariableError("COG_MODEL", "", error.message, hint=error.hint) from error
    registry = _registry(environment.get("COG_MODEL_REGISTRY", ""))
    repository = _repository(environment.get("COG_MODEL_REPO", ""))
    tag = environment.get("COG_MODEL_TAG", "")
    if tag and (problem := _tag_problem(tag)):
        raise VariableError("COG_MODEL_TAG", tag, problem)
    named = split(config.model) if config.model else ("", "")
    registry = registry or named[0] or environment.get("COG_REGISTRY_HOST") or REPLICATE
    repository = repository or named[1]
    return Reference(registry, repository, tag or timestamp_tag()) if repository else None


def _tag_problem(tag: str) -> str:
    if tag.startswith(_RESERVED):
        return f'uses reserved prefix "{_RESERVED}" — choose a different tag'
    return "" if re.match(_TAG, tag) else f"doesn't match OCI tag regex {_TAG}"


def _registry(value: str) -> str:
    if "/" in value or "@" in value:
        raise VariableError("COG_MODEL_REGISTRY", value, "must be a bare host (no path, tag, or digest)")
    return value


def _repository(value: str) -> str:
    if ":" in value or "@" in value:
        raise VariableError(
            "COG_MODEL_REPO", value, "must be a bare repository path (no host, tag, or digest)"
        )
    if value and not is_repository(value):
        raise VariableError("COG_MODEL_REPO", value, "names are in lower case, parts separated by /")
    return value
