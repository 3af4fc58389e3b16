type Names = list[str]


def run(names: Names) -> str:
    raise NotImplementedError
