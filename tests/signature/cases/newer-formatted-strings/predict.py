from cog import Input

KEYS = {"a b": 1}
NAME = f"{KEYS["a b"]:>{len("}")}}"
LINES = f'{
    "\n".join(KEYS)  # one a line
}'
COUNT = 4


def run(
    a: int = COUNT,
    b: str = Input(description=f"{KEYS["a b"]}"),
    c: str = Input(description="up to " f"{KEYS["a b"]}"),
) -> str:
    return f'{f'{f'{a}'}'}{{'
