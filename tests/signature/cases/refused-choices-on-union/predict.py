from cog import Input


def run(a: int | str = Input(choices=[1, "a"])) -> str:
    raise NotImplementedError
