from cog import BasePredictor, File, Input, Path, Secret


class Predictor(BasePredictor):
    def predict(self, image: Path, mask: File, token: Secret) -> str:
        raise NotImplementedError
