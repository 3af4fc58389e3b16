from typing import Any, Dict, List, Optional

from cog import BaseModel, BasePredictor, Input, Path


class Box(BaseModel):
    left: int
    label: str = "none"


class Output(BaseModel):
    """What comes out."""

    image: Path
    score: float
    boxes: List[Box]
    best: Optional[Box]
    note: str | None = None
    extra: Dict[str, Any] = {}
    made_by: str = Field(default="x")
    counter = 0

    def helper(self) -> str:
        return ""


class Predictor(BasePredictor):
    def predict(self, prompt: str) -> Output:
        return prompt
