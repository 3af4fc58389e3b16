from typing import List, Optional

from cog import BaseModel, BasePredictor, Input, Path


class Box(BaseModel):
    left: float
    label: Optional[str]


class Output(BaseModel):
    boxes: List[Box]
    best: Optional[Box] = None
    note: Optional[str]
    unit: str = "px"


class Predictor(BasePredictor):
    def predict(
        self,
        mask: Optional[Path] = Input(description="A mask", default=None),
        seed: Optional[int] = None,
        names: Optional[List[str]] = Input(default=None),
        size: Optional[int] = Input(default=5, ge=1),
        old: int = Input(default=1, deprecated=True),
    ) -> Output:
        return Output(boxes=[], note=None)
