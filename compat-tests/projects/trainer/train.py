"""Trains on anything."""

from cog import BaseModel, Input, Path


class TrainingOutput(BaseModel):
    weights: Path


def train(
    data: str = Input(description="What to learn"),
    epochs: int = Input(description="How often", default=1, ge=1),
) -> TrainingOutput:
    print(f"training {epochs} times")
    weights = Path("/tmp/weights.txt")
    weights.write_text(data * epochs)
    return TrainingOutput(weights=weights)
