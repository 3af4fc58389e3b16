"""Has an input of every type and tells what arrived."""

from typing import Any, Optional

from cog import BaseModel, BaseRunner, Input, Secret


class Output(BaseModel):
    values: dict
    kinds: dict
    note: Optional[str]


class Runner(BaseRunner):
    def run(
        self,
        text: str = Input(description="Text of a given form", min_length=2, max_length=5, regex="^[a-z]+$"),
        whole: int = Input(description="A number within bounds", default=3, ge=1, le=10),
        real: float = Input(description="A number", default=0.5),
        flag: bool = Input(description="Yes or no", default=False),
        choice: str = Input(description="One of three", default="b", choices=["a", "b", "c"]),
        maybe: Optional[str] = Input(description="Left out or null"),
        many: list[int] = Input(description="A list", default=[1, 2]),
        table: dict = Input(description="Anything", default={}),
        secret: Secret = Input(description="Not to be shown"),
        either: str | int = Input(description="Text or a number", default=7),
        old: str = Input(description="Still accepted", default="old", deprecated=True),
    ) -> Output:
        values: dict[str, Any] = {
            "text": text, "whole": whole, "real": real, "flag": flag, "choice": choice, "maybe": maybe,
            "many": many, "table": table, "secret": secret.get_secret_value(), "either": either, "old": old,
        }  # fmt: skip
        print(f"the secret is {secret}")
        kinds = {name: type(value).__name__ for name, value in values.items()}
        return Output(values=values, kinds=kinds, note=None)
