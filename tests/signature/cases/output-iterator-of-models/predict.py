from typing import Any, Dict, List, Optional

from cog import BaseModel, BasePredictor, Input, Path


from cog import Iterator


class Item(BaseModel):
    x: int; y: 'Optional[str]'


class Predictor(BasePredictor):
    def predict(self, prompt: str) -> Iterator[Item]:
        return prompt
