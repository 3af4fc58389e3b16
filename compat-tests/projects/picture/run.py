"""Gives one file, so that its upload can be watched."""

import base64

from cog import BaseRunner, Path

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


class Runner(BaseRunner):
    def run(self) -> Path:
        dot = Path("/tmp/dot.png")
        dot.write_bytes(base64.b64decode(DOT))
        return dot
