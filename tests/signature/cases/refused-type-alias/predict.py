from cog import BasePredictor, Input


Names = list[str]


class Predictor(BasePredictor):
    def predict(self, names: Names) -> str:
        raise NotImplementedError
