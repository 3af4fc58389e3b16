from cog import AsyncConcatenateIterator, BasePredictor, Input, Path
from typing import AsyncIterator


class Predictor(BasePredictor):
    async def predict(self, prompt: str) -> AsyncIterator[str]:
        return prompt
