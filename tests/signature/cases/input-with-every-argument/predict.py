from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(
        self,
        prompt: str = Input(description="What to draw", default="a <b> & c", min_length=1, max_length=300, regex="^[a-z]*", deprecated=True),
        steps: int = Input(description="How long", default=50, ge=1, le=500),
        scale: float = Input(default=7.5, ge=1e-7, le=1e21),
        image: Path = Input(description="Where to start", accept="image/*"),
        size: int = Input(default=512, choices=[256, 512, 768]),
    ) -> str:
        return prompt
