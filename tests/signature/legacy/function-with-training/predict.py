from cog import BaseModel, Input, Path


class TrainingOutput(BaseModel):
    weights: Path


def train(data: Path = Input(description="Data"), epochs: int = Input(default=1, ge=1)) -> TrainingOutput:
    return TrainingOutput(weights=Path("x"))


def predict(text: str, size: str = Input(default="s", choices=["s", "l"])) -> Path:
    return Path(text)
