import cog
from cog import AsyncIterator


@cog.streaming
async def run(n: int = 3) -> AsyncIterator[str]:
    yield str(n)
