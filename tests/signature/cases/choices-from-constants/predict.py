from cog import BasePredictor, Input, Path

STYLES = ["oil", "ink"]
PAIR = ("left", "right")
SCHEDULERS: dict = {"ddim": 20, "euler": 30, **EXTRA, "skipped": len("x")}
DEFAULT = "all"
ABOUT = "Which <style>"


class Predictor(BasePredictor):
    def predict(
        self,
        style: str = Input(choices=STYLES),
        scheduler: str = Input(choices=list(SCHEDULERS.keys()), default="ddim"),
        steps: int = Input(choices=list(SCHEDULERS.values())),
        both: str = Input(choices=["none"] + STYLES + ["all"], default=DEFAULT, description=ABOUT),
        pair: str = Input(choices=PAIR),
    ) -> str:
        raise NotImplementedError
