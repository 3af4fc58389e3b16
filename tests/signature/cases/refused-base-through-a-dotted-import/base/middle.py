class Middle:
    def run(self) -> str:
        raise NotImplementedError
