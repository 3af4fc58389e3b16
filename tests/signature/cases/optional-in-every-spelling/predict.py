import typing
from typing import Optional, Union
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(
        self,
        a: Optional[str] = None,
        b: str | None = None,
        c: None | int = 3,
        d: Union[str, None] = Input(default=None),
        e: Union[None, float] = Input(description="no default"),
        f: typing.Optional[Path] = Input(default=None),
        g: Optional[list[str]] = None,
        h: "Optional[int]" = None,
        i: Optional["str"] = None,
    ) -> str:
        raise NotImplementedError
