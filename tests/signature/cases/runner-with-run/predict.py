from cog import BaseRunner, Input


class Runner(BaseRunner):
    def setup(self) -> None:
        pass

    def predict(self, old: str) -> str:
        return old

    def run(self, prompt: str = Input(description='What')) -> str:
        return prompt
