"""Numbers as Go prints them, which upstream is written in."""

from __future__ import annotations

import math


def printed(value: float) -> str:
    """Return a float as Go's ``%v`` does: the fewest digits, an exponent below 1e-4 and from 1e6 on."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
    size = len(repr(value).partition("e")[0].replace(".", "").strip("-0")) or 1
    mantissa, _, exponent = f"{value:.{size - 1}e}".partition("e")
    power = int(exponent)
    if -5 < power < 6:  # noqa: PLR2004 - beyond these it has an exponent
        return f"{value:.{max(size - 1 - power, 0)}f}"
    return f"{mantissa}e{power:+03d}"
