import ctypes

from cog import BaseRunner


class Runner(BaseRunner):
    def run(self) -> int:
        return ctypes.CDLL("/usr/local/lib/libadd.so").devices()
