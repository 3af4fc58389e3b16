import typing
from typing import Any, List
from cog import Secret
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(
        self,
        a: list[str],
        b: List[int] = [1, 2],
        c: typing.List[Path] = Input(description="pictures"),
        d: list[float] | None = None,
        e: list[Any] = [],
        f: List[Secret] = Input(),
        g: "list[str]" = ["x"],
    ) -> str:
        raise NotImplementedError
