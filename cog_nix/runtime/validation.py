"""Checks inputs against the model's schema before anything starts, and says what is wrong in Cog's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.conformance import problems
from cog_nix.runtime.nulls import first_null
from cog_nix.runtime.wording import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cog_nix.runtime.schema import Schema


def check_names(names: Iterable[str], component: Schema) -> None:
    """Refuse inputs that the model does not have.

    Raises:
        RuntimeFailure: there are some.
    """
    properties = component.get("properties", {})
    unknown = sorted(name for name in names if name not in properties)
    if not unknown:
        return
    known = (
        f"valid inputs are: {', '.join(sorted(properties))}" if properties else "model does not accept inputs"
    )
    subject = "unknown input" if len(unknown) == 1 else "unknown inputs"
    raise RuntimeFailure(f"{subject} {', '.join(map(quote, unknown))}; {known}")


def check_inputs(inputs: Mapping[str, Any], component: Schema) -> None:
    """Refuse inputs that the model would refuse: all problems together.

    Raises:
        RuntimeFailure: there are some.
    """
    check_names(inputs, component)
    null = first_null(dict(inputs), component)
    if null is not None:
        raise RuntimeFailure(
            f"invalid input {quote('.'.join(null))}: must not be null (omit the input to use its default)"
        )
    found = [str(problem) for problem in problems(dict(inputs), component)]
    if len(found) == 1:
        raise RuntimeFailure(found[0])
    if found:
        raise RuntimeFailure("input validation failed:\n- " + "\n- ".join(found))


def satisfies(value: Any, schema: Schema) -> bool:
    """Whether one value fits one schema."""
    return not problems(value, schema)
