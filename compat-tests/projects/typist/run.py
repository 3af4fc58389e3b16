"""Types text letter by letter: an async model that streams and works on two predictions at a time."""

import asyncio

import cog
from cog import AsyncConcatenateIterator, BaseRunner, Input, Path

NOTE = Path("/tmp/canceled")


class Runner(BaseRunner):
    async def setup(self) -> None:
        await asyncio.sleep(0)
        self.ready = True

    @cog.streaming()
    @cog.concurrent(max=2)
    async def run(
        self,
        text: str = Input(description="What to type", default="cog"),
        delay: float = Input(description="Seconds between two letters", default=0.0, ge=0),
    ) -> AsyncConcatenateIterator[str]:
        scope = cog.current_scope()
        scope.record_metric("letters", len(text))
        try:
            for letter in text:
                print(f"typing {letter}")
                scope.record_metric("typed", 1, mode="incr")
                yield letter
                await asyncio.sleep(delay)
        except asyncio.CancelledError:
            NOTE.write_text("cleaned up")
            raise
