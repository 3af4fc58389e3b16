import os
import random
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(
        self,
        seed: int = Input(default=random.randint(0, 9)),
        name: str | None = Input(default=os.environ["NAME"]),
        text: str = Input(default=("in parentheses")),
        style: str = Input(default=f"formatted"),
        size: int = Input(default=2**10),
    ) -> str:
        raise NotImplementedError
