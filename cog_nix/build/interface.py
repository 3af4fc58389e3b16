"""What a model takes and returns, as its image will say it: from the source, or from a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix import signature
from cog_nix.config.legacy import sdk_for
from cog_nix.config.sdk import check_sdk
from cog_nix.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.config.model import Config, Project

_MINIMUM_PYTHON_FOR_CONCURRENCY = (3, 11)


@dataclass(frozen=True)
class Api:
    """A model's interface."""

    handed_in: str = ""
    """The user's own document, byte for byte; empty: it is read from the source."""
    described: signature.Description | None = None
    """What the source says; None when it cannot be read and need not be."""

    @property
    def pitfalls(self) -> tuple[str, ...]:
        """What Cog's runtime will do with the source and nobody wants, for warnings."""
        found = self.described.signatures if self.described else ()
        return tuple(pitfall for one in found for pitfall in one.pitfalls)

    def document(self, version: str) -> str:
        """Return the OpenAPI document.

        Args:
            version: of Cog's package in the image; the user's own document has its own.
        """
        if self.handed_in or self.described is None:
            return self.handed_in
        return self.described.document(version)


def read_api(project: Project, config: Config, openapi: Path | None = None) -> Api:
    """Read a model's interface, and check that it fits the configuration.

    Args:
        project: whose.
        config: its configuration.
        openapi: the user's own document. The source may then say what it likes, as upstream has it.

    Raises:
        ConfigError: the document is none, the SDK is too old to be described, or concurrency cannot work.
        SignatureError: the source cannot be described.
    """
    if openapi is not None:
        from cog_nix.signature.openapi_file import read_document  # noqa: PLC0415 - rarely wanted

        handed_in = read_document(openapi)
        _check_concurrency(project, config, *_concurrency_at_will(project, config))
        return Api(handed_in)
    last = sdk_for(config.build.python_version)
    if last is None:
        check_sdk(config.build.sdk_version, from_source=True)
    sdk = (config.build.sdk_version or last) if last else ""
    described = signature.describe_model(project.root, config.predict, config.train, sdk)
    described.document("")  # not all that can be described can be written as JSON
    leading = described.leading
    _check_concurrency(project, config, leading.concurrency, is_async=leading.is_async)
    return Api(described=described)


def _concurrency_at_will(project: Project, config: Config) -> tuple[int | None, bool]:
    if sdk_for(config.build.python_version) is None:
        check_sdk(config.build.sdk_version, from_source=False)
    try:
        return signature.concurrency(project.root, config.predict, config.train)
    except signature.SignatureError:
        return None, True


def _check_concurrency(
    project: Project,
    config: Config,
    decorated: int | None,
    is_async: bool,  # noqa: FBT001 - second of a pair
) -> None:
    """Refuse more than one prediction at a time where the predictor cannot do it.

    Raises:
        ConfigError: in upstream's words.
    """
    maximum = config.concurrency_max or decorated or 1
    if maximum <= 1:
        return
    if not is_async:
        raise ConfigError(
            f"{project.config_path.name}: concurrency.max > 1 requires an async run() or predict() method",
            hint="Write `async def run(…)`, or remove concurrency.",
        )
    version = config.build.python_version.strip().split(".")
    numbers = tuple(int(part) for part in version[:2] if part.isdecimal())
    if numbers < _MINIMUM_PYTHON_FOR_CONCURRENCY:
        least = ".".join(map(str, _MINIMUM_PYTHON_FOR_CONCURRENCY))
        raise ConfigError(
            f"{project.config_path.name}: concurrency requires Python {least} or higher",
            hint=f'Write: python_version: "{least}", or remove concurrency.',
        )
