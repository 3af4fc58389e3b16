from cog import Secret
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(
        self,
        seed: int = None,
        prompt: str = Input(default=None, description="required after all"),
        token: Secret = Input(default=None),
        tokens: list[str] = None,
    ) -> str:
        return prompt
