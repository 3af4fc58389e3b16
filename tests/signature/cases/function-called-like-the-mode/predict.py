def predict(name: str) -> str:
    return name
