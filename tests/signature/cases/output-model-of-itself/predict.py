from typing import Any, Dict, List, Optional

from cog import BaseModel, BasePredictor, Input, Path


class Tree(BaseModel):
    value: int
    children: List['Tree']
    parent: 'Tree | None' = None


class Predictor(BasePredictor):
    def predict(self, prompt: str) -> Tree:
        return prompt
