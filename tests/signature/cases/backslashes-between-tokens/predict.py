from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, prompt: str = Input(description="a" \
 "b", \
 default= \
 "c")) -> str:
        return prompt
