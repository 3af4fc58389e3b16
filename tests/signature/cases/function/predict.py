def hello(name: str, times: int = 1) -> str:
    return name * times
