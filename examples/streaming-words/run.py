import asyncio
import random
from collections import defaultdict
from itertools import pairwise

import cog
from cog import AsyncConcatenateIterator, BaseRunner, Input, Path


class Runner(BaseRunner):
    async def setup(self) -> None:
        words = (Path(__file__).parent / "alice.txt").read_text().split()
        self.followers: dict[str, list[str]] = defaultdict(list)
        for word, following in pairwise(words):
            self.followers[word].append(following)

    @cog.streaming
    @cog.concurrent(max=4)
    async def run(
        self,
        start: str = Input(description="First word", default="Alice"),
        words: int = Input(description="How many words to write", default=24, ge=1, le=1000),
        seed: int = Input(description="The same seed writes the same words", default=2),
        delay: float = Input(description="Seconds between two words", default=0.05, ge=0, le=5),
    ) -> AsyncConcatenateIterator[str]:
        chance = random.Random(seed)
        word = start
        for position in range(words):
            yield word if position == 0 else f" {word}"
            await asyncio.sleep(delay)
            word = chance.choice(self.followers.get(word) or sorted(self.followers))
