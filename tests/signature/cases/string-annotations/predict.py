from __future__ import annotations
import typing
from typing import List
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, a: 'str', b: "int | None", c: List['str'], d: 'typing.Optional[Path]' = None) -> 'list["str"]':
        raise NotImplementedError
