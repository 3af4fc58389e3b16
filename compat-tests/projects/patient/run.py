"""Says itself whether it is well."""

from cog import BaseRunner, Input


class Runner(BaseRunner):
    def setup(self) -> None:
        self.well = True

    def healthcheck(self) -> bool:
        return self.well

    def run(self, well: bool = Input(description="How it is from now on")) -> bool:
        self.well = well
        return well
