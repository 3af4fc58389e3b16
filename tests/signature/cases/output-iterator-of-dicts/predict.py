import typing
from typing import Annotated, Any, Dict, List
from torch import Tensor
from cog import BasePredictor, ConcatenateIterator, Input, Iterator, Opaque, Path


class Predictor(BasePredictor):
    def predict(self, prompt: str) -> Iterator[dict[str, int]]:
        return prompt
