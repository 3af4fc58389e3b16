from cog import BasePredictor, Input

SIZES = {1: "a", 1.5: "b", 1000000.0: "c", 0.00001: "d", True: "e", None: "f", (1, "x"): "g"}


class Predictor(BasePredictor):
    def predict(self, sizes: dict = SIZES) -> str:
        raise NotImplementedError
