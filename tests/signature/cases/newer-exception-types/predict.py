try:
    import torch
except ImportError, OSError:
    torch = None

SEED = 3


def run(seed: int = SEED) -> str:
    try:
        return str(seed)
    except* ValueError, TypeError:
        return ''
