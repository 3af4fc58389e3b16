import base.middle


class Predictor(base.middle.Middle):
    pass
