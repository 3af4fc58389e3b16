from typing import Optional


def run() -> Optional[str, int]:
    raise NotImplementedError
