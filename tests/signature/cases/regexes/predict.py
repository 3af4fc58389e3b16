from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def predict(self, 
        a: str = Input(default="a-1", regex=r"^[a-z]+-\d{1,3}$"),
        b: str = Input(regex=r"(?i)\p{Lu}[[:alpha:]]\x{41}(?P<n>x)\Q.*\E\z"),
        c: int = Input(regex="(?=look)", default=1),
        d: list[str] = Input(regex="(", default=["x"]),
        e: str = Input(default="a", choices=["a"], regex="a"),
        f: str = Input(default="b", regex=""),
    ) -> str:
        raise NotImplementedError
