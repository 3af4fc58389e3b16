from typing import Annotated, Optional
from cog import BaseModel, Opaque
from torch import Tensor
from cog import BasePredictor, Input, Path


class Out(BaseModel):
    a: Annotated[Tensor, Opaque]
    b: Annotated[list[Tensor], Opaque]
    c: Annotated[Optional[Tensor], Opaque]
    d: Annotated[int, 'about']
    e: Optional[Annotated[Tensor, Opaque]] = None


class Predictor(BasePredictor):
    def predict(self, prompt: str) -> Out:
        return prompt
