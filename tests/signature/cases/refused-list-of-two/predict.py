def run(a: list[int, str]) -> str:
    raise NotImplementedError
