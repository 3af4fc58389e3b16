"""A model on PyTorch."""

import torch
from cog import BaseRunner


class Runner(BaseRunner):
    """Tells whether there is a GPU."""

    def run(self) -> bool:
        """Ask PyTorch."""
        return torch.cuda.is_available()
