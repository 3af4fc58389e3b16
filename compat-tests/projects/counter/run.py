"""Counts, slowly if asked to: a sync model whose predictions last, so that they can be watched and canceled."""

import time
from typing import Iterator

from cog import BaseRunner, CancelationException, Input, Path

NOTE = Path("/tmp/canceled")


class Runner(BaseRunner):
    def run(
        self,
        count: int = Input(description="How far to count", default=3, ge=0),
        delay: float = Input(description="Seconds between two numbers", default=0.0, ge=0),
    ) -> Iterator[int]:
        try:
            for number in range(count):
                print(f"counting {number}")
                yield number
                time.sleep(delay)
        except CancelationException:
            NOTE.write_text("cleaned up")
            raise
