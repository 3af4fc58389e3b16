"""Try all readers for a while, and print each kind of crash once::

    python -m tests.fuzz SECONDS [WORD…]

Words choose the readers whose names have one of them. The exit status is 1 when anything crashed.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.table import PARSERS, attempt

if TYPE_CHECKING:
    from tests.fuzz.parser import Parser

_ROUND = 300
_SHOWN = 300


def where(error: BaseException) -> str:
    """Return what tells one kind of crash from another: its type, and where it was raised and let through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/tests/" not in frame.filename]
    ours = [
        frame
        for frame in frames
        if "site-packages" not in frame.filename and "/lib/python3" not in frame.filename
    ]
    last = [f"{frame.filename.rpartition('/wt/')[2] or frame.filename}:{frame.lineno}" for frame in ours[-2:]]
    return f"{type(error).__name__} {' > '.join(last)}"


def main() -> int:
    """Read the command line."""
    until = time.monotonic() + float(sys.argv[1])
    chosen = [one for one in PARSERS if not sys.argv[2:] or any(word in one.name for word in sys.argv[2:])]
    tries: Counter[str] = Counter()
    crashes: Counter[tuple[str, str]] = Counter()

    def one_round(parser: Parser) -> None:
        @settings(
            max_examples=_ROUND,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(parser.given)
        def one(data: object) -> None:
            tries[parser.name] += 1
            try:
                attempt(parser, data)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
                kind = (parser.name, where(error))
                crashes[kind] += 1
                if crashes[kind] == 1:
                    print(
                        f"{parser.name}: {kind[1]}: {str(error)[:150]}\n    {repr(data)[:_SHOWN]}", flush=True
                    )

        one()

    while time.monotonic() < until:
        for parser in chosen:
            if time.monotonic() < until:
                one_round(parser)
    print(f"{sum(tries.values())} inputs, {len(chosen)} readers, {len(crashes)} kinds of crash")
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
