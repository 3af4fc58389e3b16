import cog
import typing as t
from typing import Annotated, Optional
from cog import Opaque
from torch import Tensor
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, a: Annotated[str, "about"], b: Annotated[Tensor, Opaque], c: Annotated[list[Tensor], Opaque], d: Annotated[Optional[list[Tensor]], Opaque] = None, e: list[Annotated[Tensor, cog.Opaque]] = [], f: t.Annotated[int, Opaque] = {}) -> str:
        raise NotImplementedError
