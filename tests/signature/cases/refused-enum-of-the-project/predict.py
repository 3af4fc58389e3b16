from modes import Mode


def run(mode: Mode = Mode.FAST) -> str:
    raise NotImplementedError
