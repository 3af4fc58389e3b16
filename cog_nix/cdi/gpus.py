"""What ``--gpus`` asks for, as ``docker run --gpus`` means it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.cdi.registry import is_qualified
from cog_nix.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

KIND = "nvidia.com/gpu"
ALL = "all"
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")


@dataclass(frozen=True)
class GpuRequest:
    """Some GPUs: the first few, all, or those that are named."""

    count: int = 0
    """-1: all."""
    ids: tuple[str, ...] = ()
    """Indexes, UUIDs, or qualified names of devices."""

    @classmethod
    def parse(cls, text: str) -> GpuRequest:
        """Read ``all``, a number of GPUs, or ``device=0,1``.

        Raises:
            RuntimeFailure: it is none of these.
        """
        plain = text.strip('"')
        if plain == ALL:
            return cls(-1)
        if _NUMBER.fullmatch(plain):
            return cls(max(int(plain), -1))
        ids = [one for one in plain.removeprefix("device=").split(",") if one]
        if plain.startswith("device=") and ids:
            return cls(-1) if ids == [ALL] else cls(0, tuple(ids))
        raise RuntimeFailure(
            f'invalid GPU specification: "{text}"', hint="Use --gpus all, a number, or --gpus device=0,1."
        )

    @property
    def everything(self) -> bool:
        """Whether all GPUs are asked for."""
        return self.count < 0

    def qualified(self, known: Sequence[str] = ()) -> list[str]:
        """Return the names of the devices in NVIDIA's specifications.

        Args:
            known: names that the specification has, without the kind; none: not known here.
        """
        if self.everything:
            names = [ALL] if ALL in known or not known else list(known)
        elif self.ids:
            names = list(self.ids)
        else:
            numbered = [str(index) for index in range(self.count)]
            others = [name for name in known if name != ALL]
            # Specifications may name devices by UUID only.
            by_uuid = bool(known) and all(name.startswith("GPU-") for name in others)
            names = others[: self.count] if by_uuid and len(others) >= self.count else numbered
        # nvidia-ctk's names are indexes, or with --device-name-strategy=type-index "gpu0".
        typed = [f"gpu{name}" if f"gpu{name}" in known and name not in known else name for name in names]
        return [name if is_qualified(name) else f"{KIND}={name}" for name in typed]
