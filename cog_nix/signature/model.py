"""What a predictor's source says: inputs, output, and how it may be run.

A :class:`Signature` is read from source by :func:`cog_nix.signature.describe` and turned into an OpenAPI
document by :mod:`cog_nix.signature.openapi`. Everything here is a frozen value without behaviour of its own.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from cog_nix.system.values import frozen

Mode = Literal["predict", "train"]
"""Which of a model's two entry points is meant."""

Primitive = Literal["bool", "float", "int", "str", "Path", "File", "Secret", "dict", "Any"]
"""The types that have a JSON form of their own. ``Any`` also stands for every opaque JSON value; ``dict`` is
an output's alone."""


@frozen
class Items:
    """A list, tuple or set written in source."""

    values: tuple[Constant, ...]
    unordered: bool = False


@frozen
class Pairs:
    """A dict written in source; keys may repeat, and the last one wins."""

    keys: tuple[Constant, ...]
    values: tuple[Constant, ...]


Constant = bool | int | float | str | Items | Pairs | None
"""A value that is known without running the source."""


class Unset(Enum):
    """Tells "no default" from a default of ``None``."""

    UNSET = "unset"


UNSET = Unset.UNSET


@frozen
class Scalar:
    """One JSON value."""

    name: Primitive
    nullable: bool = False


@frozen
class Array:
    """``list[items]``."""

    items: Type
    nullable: bool = False


@frozen
class OneOf:
    """``A | B``; inputs only."""

    variants: tuple[Type, ...]
    nullable: bool = False


@frozen
class Mapping:
    """``dict[str, values]``; outputs only (a dict input is opaque)."""

    values: Type
    nullable: bool = False


@frozen
class Field:
    """One field of a :class:`Record`."""

    name: str
    type: Type
    required: bool
    default: Constant | Unset = UNSET


@frozen
class Record:
    """A ``BaseModel`` or ``TypedDict``; outputs only."""

    fields: tuple[Field, ...]
    nullable: bool = False
    name: str = ""
    description: str = ""
    """The class's docstring."""


@frozen
class Stream:
    """``Iterator[items]`` and its relatives; the outermost output type only makes sense here."""

    items: Type
    concatenate: bool = False
    nullable: bool = False


Type = Scalar | Array | OneOf | Mapping | Record | Stream


@frozen
class Constraints:
    """The arguments of ``Input(...)``."""

    default: Constant | Unset = UNSET
    description: str | None = None
    ge: float | None = None
    le: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    regex: str | None = None
    choices: tuple[Constant, ...] = ()
    deprecated: bool = False
    accept: str | None = None


@frozen
class Input:
    """One parameter of the entry point.

    Args:
        name: the parameter's name.
        order: its position, from zero.
        type: what it takes.
        constraints: default, description and limits.
        line: where it is written, for messages.
    """

    name: str
    order: int
    type: Type
    constraints: Constraints
    line: int


@frozen
class Signature:
    """One entry point of a model.

    Args:
        mode: ``predict`` or ``train``.
        inputs: the parameters, in order.
        output: what it returns.
        is_async: whether it is an ``async def``.
        streaming: whether it is marked ``@cog.streaming``.
        concurrency: ``max`` of ``@cog.concurrent``, or None without the decorator.
        warnings: sentences to tell the user; none of them stops a build.
        pitfalls: the same, of what Cog's runtime will do and nobody wants; each begins with ``file:line``.
    """

    mode: Mode
    inputs: tuple[Input, ...]
    output: Type
    is_async: bool
    streaming: bool
    concurrency: int | None
    warnings: tuple[str, ...] = ()
    pitfalls: tuple[str, ...] = ()
