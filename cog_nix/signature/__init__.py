"""What a model takes and returns, read from its source.

The source is parsed and never imported or run, so no model dependency has to be installed and nothing in the
project can act while it is looked at. This package uses nothing but the standard library and
:mod:`cog_nix.errors`, because it also runs where an image is put together.

The documents are byte for byte those of Cog 0.23.1, with its ways of reading Python.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from cog_nix.errors import SignatureError
from cog_nix.signature import legacy
from cog_nix.signature.annotations import annotation
from cog_nix.signature.defaults import check_defaults
from cog_nix.signature.document import compact, indented
from cog_nix.signature.inputs import InputReader
from cog_nix.signature.model import Mode, Signature, Stream
from cog_nix.signature.openapi import merged, openapi
from cog_nix.signature.outputs import OutputTypes
from cog_nix.signature.project import Project
from cog_nix.signature.refusal import RefusalError, RefusedSourceError
from cog_nix.signature.syntax import Expression, located
from cog_nix.signature.target import Target, find_target, streaming_needs_iterator
from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.signature.model import Type

__all__ = [
    "Description",
    "Mode",
    "Signature",
    "SignatureError",
    "concurrency",
    "describe_model",
    "document",
]


def _describe(project: Project, reference: str, mode: Mode, sdk: str = "") -> Signature:
    with _reported(reference, project):
        target = _target(project, reference, mode, sdk)
        with located(target.module.source, target.function):
            reader = InputReader(target.module)
            inputs = reader.read(target.function)
            output = _output(target, optional=bool(sdk))
            streaming = target.is_streaming
            if streaming and not isinstance(output, Stream):
                raise streaming_needs_iterator()
            if sdk:  # pydantic looks at defaults when they are used
                return Signature(mode, inputs, output, target.is_async, streaming, target.concurrency())
            signature = Signature(
                mode,
                inputs,
                output,
                target.is_async,
                streaming,
                target.concurrency(),
                _warnings(target, reference),
                (*target.pitfalls(), *reader.pitfalls),
            )
            check_defaults(target.module.source, signature)
            return signature


@frozen
class Description:
    """What a model takes and returns, read once: the predict entry, the train entry, or both."""

    signatures: tuple[Signature, ...]
    reference: str
    """The entry that errors are reported for."""
    sources: frozenset[str] = frozenset()
    """Paths of all files that were read, or looked for in vain, relative to the project."""
    sdk: str = ""
    """The SDK, where it is one that writes its document itself (:mod:`cog_nix.signature.legacy`)."""

    @property
    def leading(self) -> Signature:
        """The entry that decides about concurrency."""
        return self.signatures[0]

    def document(self, version: str) -> str:
        """Return the OpenAPI document, as in the label ``run.cog.openapi_schema``.

        Args:
            version: the version of Cog in the image.

        Raises:
            SignatureError: a default or limit that JSON cannot hold.
        """
        with _reported(self.reference):
            if self.sdk:
                sdk = version if legacy.is_legacy(version) else self.sdk
                return compact(legacy.document(self.signatures, sdk))
            documents = [openapi(signature, version) for signature in self.signatures]
            # Two documents are merged after reading them back, which sorts keys and turns integers to floats.
            return compact(documents[0]) if len(documents) == 1 else indented(merged(*documents))


def describe_model(project_root: Path, predict: str | None, train: str | None, sdk: str = "") -> Description:
    """Return what all entry points of a model take and return.

    Args:
        project_root: the folder that the references start from.
        predict: the ``predict`` (or ``run``) entry of cog.yaml.
        train: the ``train`` entry of cog.yaml.
        sdk: the version of the SDK where it is one before 0.17; else "".

    Raises:
        SignatureError: there is no entry, a source cannot be read, or it says what Cog does not support.
    """
    if not predict and not train:
        raise SignatureError(
            "no predict or train reference found in cog.yaml", hint="Add one: predict: predict.py:Predictor"
        )
    found: list[Signature] = []
    sources: frozenset[str] = frozenset()
    entries: tuple[tuple[str | None, Mode], ...] = ((predict, "predict"), (train, "train"))
    for reference, mode in entries:
        if reference:
            project = Project(project_root)
            found.append(_describe(project, reference, mode, sdk))
            sources |= project.looked_for
    return Description(tuple(found), predict or train or "", sources, sdk)


def document(project_root: Path, predict: str | None, train: str | None, version: str) -> str:
    """Return the OpenAPI document of a model: :func:`describe_model` and its ``document`` in one."""
    sdk = version if legacy.is_legacy(version) else ""
    return describe_model(project_root, predict, train, sdk).document(version)


def concurrency(project_root: Path, predict: str | None, train: str | None) -> tuple[int | None, bool]:
    """Return what a model's decorator says about concurrency, without looking at its inputs and output.

    Args:
        project_root: the folder that the references start from.
        predict: the ``predict`` (or ``run``) entry of cog.yaml.
        train: the ``train`` entry; looked at only when there is no ``predict``.

    Returns:
        ``max`` of ``@cog.concurrent`` (None without the decorator), and whether the function is async. An
        image has ``COG_MAX_CONCURRENCY`` from cog.yaml, or from here when cog.yaml says nothing; above one
        needs async.

    Raises:
        SignatureError: the source cannot be read, or the decorator is misused.
    """
    reference = predict or train
    if not reference:
        return None, False
    project = Project(project_root)
    with _reported(reference, project):
        target = _target(project, reference, "predict" if predict else "train")
        return target.concurrency(), target.is_async


def _target(project: Project, reference: str, mode: Mode, sdk: str = "") -> Target:
    path, colon, name = reference.partition(":")
    if not (path and colon and name):
        raise RefusalError(
            f"invalid predict reference '{reference}' — expected format: file.py:ClassName or "
            "file.py:function_name",
            "Write predict.py:Predictor, for example.",
        )
    return find_target(project.entry(path), name, mode, sdk)


def _output(target: Target, *, optional: bool) -> Type:
    source, function = target.module.source, target.function
    if function.returns is None:
        raise RefusalError(
            f"missing return type annotation on {function.name}",
            f"Write def {function.name}(...) -> str:, for example.",
        )
    with located(source, function.returns):
        written = Expression(function.returns, source.is_opened(function.returns))
        return OutputTypes(target.module.records, optional).resolve(annotation(source, written))


def _warnings(target: Target, reference: str) -> tuple[str, ...]:
    if not target.is_legacy:
        return ()
    owner = reference.partition(":")[2]
    return (f"{owner}.predict() is deprecated; use run() instead",)


@contextmanager
def _reported(reference: str, project: Project | None = None) -> Iterator[None]:
    """Turn what goes wrong inside into the one error that users see.

    When something was not found and a file that might define it is no Python, that is what went wrong.
    """
    path = reference.partition(":")[0]
    try:
        yield
    except RefusalError as refusal:
        if refusal.is_missing and project is not None:
            refusal = next(iter(project.broken.values()), refusal)
        raise RefusedSourceError(refusal, path) from None
    except RecursionError:
        raise SignatureError(
            f"{path}: the code is nested too deeply", hint="Simplify the types and defaults."
        ) from None
