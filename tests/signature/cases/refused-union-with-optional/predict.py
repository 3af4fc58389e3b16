from typing import Optional


def run(a: Optional[int] | str | float) -> str:
    raise NotImplementedError
