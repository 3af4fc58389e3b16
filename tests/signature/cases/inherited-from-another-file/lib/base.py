from cog import BaseModel, BasePredictor, Input

STYLES = ['a', 'b']


class Out(BaseModel):
    text: str


class Shared(BasePredictor):
    async def run(self, style: str = Input(choices=STYLES)) -> Out:
        return Out(text=style)
