def run() -> dict[str]:
    raise NotImplementedError
