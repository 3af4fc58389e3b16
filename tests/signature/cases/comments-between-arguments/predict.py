from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(
        self,
        # the prompt
        prompt: str = Input(  # what to draw
            # really
            description="What to draw",  # a cat
            default="a cat",
        ),  # done
        style: str = Input(choices=["a", "b"],  # all of them
        ),
    ) -> str:
        return prompt
