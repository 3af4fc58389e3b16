from cog import Input


class Inputs:
    prompt = Input(description="what to draw", min_length=1)
    seed: int = Input(default=None, description="a number")

    @staticmethod
    def steps(default: int, description: str = "steps", ge: int = 1) -> int:
        return Input(default=default, description=description, ge=1, le=500)


def run(
    prompt: str = Inputs.prompt,
    seed: int | None = Inputs.seed,
    a: int = Inputs.steps(20),
    b: int = Inputs.steps(30, "more " + "steps", ge=2),
    c: int = Inputs.steps(default=40, le=50),
) -> str:
    raise NotImplementedError
