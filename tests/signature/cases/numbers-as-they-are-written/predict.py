from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(
        self,
        a: int = 0x1F,
        b: int = 1_000_000,
        c: float = 1e-7,
        d: float = 1E+21,
        e: float = 100000000000000000000.0,
        f: float = -0.0,
        g: float = 5.,
        h: float = .5,
        i: int = -9223372036854775808,
        j: float = 123456789.125,
        k: int = Input(default=+3, ge=-1_0, le=1e3),
        l: float = Input(default=1e22, ge=0x10, le=(5)),
        m: int = Input(default=1, ge=- 1, le=True),
    ) -> str:
        raise NotImplementedError
