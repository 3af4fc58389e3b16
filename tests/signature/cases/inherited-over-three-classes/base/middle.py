from .deep import Deep as Below


class Middle(Below):
    pass
