from cog import BasePredictor
from out import Result


class Predictor(BasePredictor):
    def predict(self) -> Result:
        return Result()
