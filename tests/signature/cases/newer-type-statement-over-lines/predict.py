from cog import Input

type Pair[
    A,
    B = int,
] = dict[
    str, A | B  # of two
]; LIMIT = 7


def run(n: int = LIMIT) -> str:
    type Inner = int
    return str(n)
