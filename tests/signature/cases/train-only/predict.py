from cog import BaseModel, Input, Path


class TrainingOutput(BaseModel):
    weights: Path


def train(data: Path, epochs: int = Input(default=3, ge=1)) -> TrainingOutput:
    return TrainingOutput(weights=data)
