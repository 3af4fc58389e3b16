import pydantic
from typing import Optional
from cog import BasePredictor, Input, Path


class Out(pydantic.BaseModel):
    a: str
    b: Optional[int] = pydantic.Field(None)


class Predictor(BasePredictor):
    def predict(self, prompt: str) -> Out:
        return prompt
