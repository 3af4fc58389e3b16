from cog import BasePredictor, Input, Path


class Inputs:
    prompt: str = Input(description="What to draw", default="a cat")

    @staticmethod
    def steps(default: int, description: str = "Steps", ge: int = 1, le: int = 100):
        """Steps of the scheduler."""
        return Input(default=50, description="How long", ge=1, le=50)


class Predictor(BasePredictor):
    def predict(
        self,
        prompt: str = Inputs.prompt,
        steps: int = Inputs.steps(25),
        scale: float = Inputs.steps(default=1.5, description="Scale", ge=0.5),
        more: int = Inputs.steps(9, "More", le=10),
        plain: int = Inputs.steps(),
    ) -> str:
        return prompt
