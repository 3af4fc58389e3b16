from typing import Any, Dict, List, Optional

from cog import BaseModel, BasePredictor, Input, Path


class Out(BaseModel):
    pass


class Predictor(BasePredictor):
    def predict(self, prompt: str) -> Out:
        return prompt
