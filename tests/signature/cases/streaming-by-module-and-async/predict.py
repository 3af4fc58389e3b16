import cog
from cog import AsyncIterator
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    @cog.streaming()
    @cog.concurrent(max=4)
    async def predict(self, prompt: str) -> AsyncIterator[str]:
        return prompt
