from cog import BaseModel, BasePredictor


class Box(BaseModel):
    a: int


class Predictor(BasePredictor):
    def predict(self, box: Box) -> str:
        raise NotImplementedError
