from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(
        self,
        a: str = "it\'s \n \u00e9",
        b: str = 'single "quoted"',
        c: str = """three
        lines """,
        d: str = r"raw \d",
        e: str = Input(default="first" "second", description="one "
                       'two'),
        f: str = Input(description=("lost " "in parentheses")),
        g: str = Input(description=f"lost too", default="é😀\t"),
        h: str = Input(description=u"lost as well", regex=r"^[\w-]+$", default="x"),
    ) -> str:
        raise NotImplementedError
