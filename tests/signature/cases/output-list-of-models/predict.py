from typing import Any, Dict, List, Optional

from cog import BaseModel, BasePredictor, Input, Path


class Item(BaseModel):
    x_y: int


class Predictor(BasePredictor):
    def predict(self, prompt: str) -> List[Item]:
        return prompt
