from cog import BaseModel, BasePredictor, Input

type Names = list[str]


class Box[T: (int, str), *Rest](BaseModel):
    a: int
    b: list[str]


def helper[T](value: T) -> T:
    return value


class Predictor(BasePredictor):
    def predict[T](self, n: int = Input(default=3, ge=1)) -> Box:
        raise NotImplementedError
