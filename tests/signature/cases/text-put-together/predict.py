from cog import BasePredictor, Input

LIMIT = 5


class Predictor(BasePredictor):
    def predict(
        self,
        a: str = Input(description="up to " + str(LIMIT) + " words"),
        b: str = Input(description="at most %d" % LIMIT),
        c: str = Input(description="at most {}".format(LIMIT)),
        d: str = Input(description="one" if LIMIT else "two"),
        e: str = Input(description=("in " + "parentheses")),
        f: str = Input(description="""  long
        text  """.strip()),
        g: str = Input(regex="^a" + "b$"),
    ) -> str:
        raise NotImplementedError
