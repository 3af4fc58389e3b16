import typing
from typing import Union
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(
        self,
        a: str | int,
        b: Union[str, float, None] = None,
        c: int | list[int] = [1],
        d: str | dict | bool = "x",
        e: typing.Union[int, str] = Input(description="both", default=3),
        f: str | int | None = Input(),
    ) -> str:
        raise NotImplementedError
