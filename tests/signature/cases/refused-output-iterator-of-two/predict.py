from cog import Iterator


def run() -> Iterator[str, int]:
    raise NotImplementedError
