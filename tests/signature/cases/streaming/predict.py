from cog import ConcatenateIterator, streaming
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    @streaming
    def predict(self, prompt: str) -> ConcatenateIterator[str]:
        return prompt
