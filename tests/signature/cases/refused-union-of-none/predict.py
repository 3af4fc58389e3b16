def run(a: None | None) -> str:
    raise NotImplementedError
