from cog import ConcatenateIterator


def run() -> ConcatenateIterator[str, str]:
    raise NotImplementedError
