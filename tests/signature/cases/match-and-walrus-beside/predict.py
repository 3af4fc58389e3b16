import sys

match sys.platform:
    case "linux" | "darwin":
        HERE = 1
    case {"a": [1, *rest], **more} if rest:
        HERE = 2
    case _:
        HERE = 3
if (n := 5) > 3:
    HERE = n
THERE = 6


def run(here: int = THERE) -> str:
    with (open("a") as a, open("b") as b):
        return a.read() + b.read()
