"""A model that a GPU's libraries are loaded for, none of which its requirements name."""

import ctranslate2
from cog import BaseRunner


class Runner(BaseRunner):
    """Tells how many GPUs the translator sees."""

    def run(self) -> int:
        """Count them."""
        return int(ctranslate2.get_cuda_device_count())
