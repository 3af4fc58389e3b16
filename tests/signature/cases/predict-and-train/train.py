from cog import BaseModel, Input, Path


class TrainingOutput(BaseModel):
    weights: Path


def train(data: Path, style: str = Input(choices=['z']), lr: float = 1e-7) -> TrainingOutput:
    return TrainingOutput(weights=data)
