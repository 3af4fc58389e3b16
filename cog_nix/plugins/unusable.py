"""What stands for a runtime where nothing runs images: it says why, for everything that was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from cog_nix.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cog_nix.plugins.spec import ContainerRequest
    from cog_nix.report import Reporter


class NoRuntime:
    """A :class:`cog_nix.plugins.spec.Runtime` that can do nothing.

    Args:
        reasons: why each runtime cannot be used, by its name.
    """

    name = "one of them"
    title = "a container"
    shares_network = False

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self._reasons = dict(reasons)

    def available(self) -> str:
        """Return every reason, one a line."""
        lines = (f"  {name}: {why}" for name, why in self._reasons.items())
        return "\n".join(("Nothing here can hold and run images:", *lines))

    def image_id(self, reference: str) -> NoReturn:
        """Refuse; see :meth:`_refuse`."""
        self._refuse(reference)

    def image_labels(self, reference: str) -> NoReturn:
        """Refuse; see :meth:`_refuse`."""
        self._refuse(reference)

    def pull(self, reference: str, reporter: Reporter) -> None:
        """Refuse; see :meth:`_refuse`."""
        self._refuse(reference, reporter)

    def load(self, image: Path, tags: Sequence[str], reporter: Reporter) -> NoReturn:
        """Refuse; see :meth:`_refuse`."""
        self._refuse(image, tags, reporter)

    def start(self, request: ContainerRequest) -> NoReturn:
        """Refuse; see :meth:`_refuse`."""
        self._refuse(request)

    def _refuse(self, *_: object) -> NoReturn:
        """Say why.

        Raises:
            RuntimeFailure: always.
        """
        raise RuntimeFailure(self.available(), hint="Install or start one of them.")
