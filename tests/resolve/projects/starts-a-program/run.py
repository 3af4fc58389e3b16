import subprocess

from cog import BaseRunner

COMMAND = ["jq", "--null-input", "6 * 7"]


class Runner(BaseRunner):
    def run(self) -> str:
        return subprocess.check_output(COMMAND, text=True).strip()
