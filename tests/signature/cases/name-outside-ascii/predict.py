from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, größe: int = 3, élan_vital: str = "x", 名前: str = "y") -> str:
        raise NotImplementedError
