import cog


@cog.concurrent(max=8)
async def hello(name: str) -> str:
    return name
