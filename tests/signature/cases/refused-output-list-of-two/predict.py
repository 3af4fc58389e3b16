def run() -> list[str, int]:
    raise NotImplementedError
