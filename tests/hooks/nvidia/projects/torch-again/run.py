"""A second model on the same PyTorch."""

import einops
import humanize
import torch
from cog import BaseRunner


class Runner(BaseRunner):
    """Turns a matrix of numbers over, and says how many there are."""

    def run(self, rows: int = 2) -> str:
        """Make it, turn it, count."""
        turned = einops.rearrange(torch.arange(rows * 1000).reshape(rows, -1), "row column -> column row")
        return humanize.intcomma(turned.numel())
