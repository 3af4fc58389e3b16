from cog import BaseModel, Input, Path, Secret


class TrainingOutput(BaseModel):
    weights: Path
    loss: float = 0.5


def train(
    data: Path,
    steps: int = Input(default=10, ge=1, le=100),
    rate: float = Input(default=1e-5, choices=[1e-5, 1e-4]),
    token: Secret = None,
) -> TrainingOutput:
    raise NotImplementedError
