"""What stands for a runtime where nothing runs images: it says why, for everything that was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from cog_nix.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Mapping


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

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        """Say why.

        Raises:
            RuntimeFailure: always.
        """
        raise RuntimeFailure(self.available(), hint="Install or start one of them.")

    image_id = image_labels = pull = load = start = _refuse
