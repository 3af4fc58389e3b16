from cog import Input


def train(steps: int = Input(default=1, ge=1)) -> str:
    return f"trained for {steps}"
