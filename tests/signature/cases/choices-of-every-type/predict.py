from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(
        self,
        style: str = Input(choices=["oil", "ink"], default="ink"),
        size: int = Input(choices=[1, 2, -3]),
        scale: float = Input(choices=[0.5, 1.0, 2.0], default=1.0),
        optional: str | None = Input(choices=["x", "y"], default=None),
    ) -> str:
        raise NotImplementedError
