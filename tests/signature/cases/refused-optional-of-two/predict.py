from typing import Optional


def run(a: Optional[int, str]) -> str:
    raise NotImplementedError
