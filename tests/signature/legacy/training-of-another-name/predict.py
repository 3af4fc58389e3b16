from cog import BaseModel, BasePredictor, Input, Path


class Weights(BaseModel):
    file: Path


def train(size: str = Input(default="s", choices=["s", "l"])) -> Weights:
    return Weights(file=Path("x"))


class Predictor(BasePredictor):
    def predict(self, text: str) -> str:
        return text
