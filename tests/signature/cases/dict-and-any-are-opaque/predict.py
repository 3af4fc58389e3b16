import typing
from typing import Any, Dict, Optional
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(
        self,
        a: dict,
        b: dict[str, int],
        c: Dict[str, list[float]] = {"x": [1.5], 2: None, True: "t", None: 0, 2.5: [1e21, -0.0]},
        d: Any = {},
        e: list[dict] = [{}],
        f: Optional[Dict[str, str]] = None,
        g: typing.Any = Input(description="anything"),
    ) -> str:
        raise NotImplementedError
