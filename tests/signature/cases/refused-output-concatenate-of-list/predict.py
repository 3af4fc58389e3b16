from cog import ConcatenateIterator


def run() -> ConcatenateIterator[list[str]]:
    raise NotImplementedError
