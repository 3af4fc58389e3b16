from cog import AsyncConcatenateIterator, BasePredictor, Input, Path
from typing import AsyncIterator


class Predictor(BasePredictor):
    async def predict(self, prompt: str) -> str:
        return prompt
