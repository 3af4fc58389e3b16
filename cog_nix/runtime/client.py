"""Speaks the HTTP API of a running model (Cog's ``docs/http.md``).

On ``http.client`` rather than httpx: importing it takes 40 ms instead of 105 ms, and one POST needs no more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cog_nix.errors import PredictionError, RuntimeFailure
from cog_nix.runtime.jsontext import parse_json
from cog_nix.runtime.schema import ApiSchema
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Prediction:
    """The answer of a model, successful or not."""

    status: str
    output: Any = None
    error: str = ""
    logs: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """Whether there is an output to show."""
        return self.status == "succeeded"

    def public(self) -> dict[str, Any]:
        """Return what ``--json`` prints, in its order."""
        answer = {"status": self.status, "output": self.output, "error": self.error}
        return {**answer, "metrics": self.metrics} if self.metrics else answer


class FailedPredictionError(PredictionError):
    """The model answered that it failed.

    Args:
        prediction: what it answered.
        hint: what to do next.
    """

    def __init__(self, prediction: Prediction, *, hint: str = "") -> None:
        super().__init__(hint=hint)
        self.prediction = prediction

    def __str__(self) -> str:
        logs = self.prediction.logs.strip()
        said = f'Prediction failed with status "{self.prediction.status}": {self.prediction.error}'
        return f"{said}\n\n{logs}" if logs else said


class NotPredictedError(PredictionError):
    """The model's server does not answer with a prediction.

    Args:
        problem: what it does instead, in upstream's words.
        status: HTTP status of its answer; 200: it cannot be read.
        hint: what to do next.
    """

    def __init__(self, problem: str, status: int, *, hint: str = "") -> None:
        super().__init__(hint=hint)
        self.problem, self.status = problem, status

    def __str__(self) -> str:
        return f"Failed to run prediction: {self.problem}"


class ModelClient:
    """A model behind a URL.

    Args:
        url: where the server answers, without a path.
        train: talk to ``/trainings`` instead of ``/predictions``.
    """

    def __init__(self, url: str, *, train: bool = False) -> None:
        self._host = urlsplit(url).netloc
        self._endpoint = "trainings" if train else "predictions"

    def health(self, timeout: float = 1.0) -> dict[str, Any] | None:
        """Return the body of ``/health-check``, or None when nothing answers (yet).

        Raises:
            RuntimeFailure: something answers that is not Cog's server.
        """
        try:
            status, body = self._request("GET", "/health-check", timeout=timeout)
        except (OSError, HTTPException):
            return None
        if status != 200:  # noqa: PLR2004
            return None
        try:
            health = jsonvalue.loads(body)
            return {"status": str(health["status"]), "setup": health.get("setup") or {}}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RuntimeFailure(f"Container healthcheck returned invalid response: {error}") from error

    def schema(self) -> ApiSchema:
        """Return the model's OpenAPI document.

        Raises:
            RuntimeFailure: there is none.
        """
        status, body = self._request_or_fail("GET", "/openapi.json", timeout=30)
        if status != 200:  # noqa: PLR2004
            raise RuntimeFailure(f"Failed to get OpenAPI schema: {status}")
        return ApiSchema.parse(body)

    def predict(
        self, inputs: Mapping[str, Any], context: Mapping[str, str] | None = None, name: str = ""
    ) -> Prediction:
        """Run one prediction and wait for its end, however long it takes.

        Args:
            inputs: prepared inputs.
            context: what the model may ask for besides (``replicate_api_token``).
            name: its id, by which it can be cancelled; empty: the server chooses one.

        Raises:
            NotPredictedError: it refuses the inputs, or answers with an HTTP error or nonsense.
            RuntimeFailure: the connection breaks.
        """
        named = {"id": name} if name else {}
        body = json.dumps({**named, "input": dict(inputs), "context": dict(context or {})}).encode()
        status, answer = self._request_or_fail("POST", f"/{self._endpoint}", body)
        if status == 422:  # noqa: PLR2004
            raise self._refusal(answer)
        if status != 200:  # noqa: PLR2004
            raise self._failed(status, answer)
        try:
            return _prediction(parse_json(answer.decode("utf-8", "replace")))
        except (ValueError, AttributeError, TypeError) as error:
            raise NotPredictedError(f"Failed to decode prediction response: {error}", status) from error

    def cancel(self, name: str) -> None:
        """Cancel the prediction with this id; one that has ended already is no error.

        Raises:
            RuntimeFailure: the connection breaks.
        """
        self._request_or_fail("POST", f"/{self._endpoint}/{name}/cancel", b"", timeout=30)

    def _refusal(self, answer: bytes) -> NotPredictedError:
        verb = "train" if self._endpoint == "trainings" else "run"
        try:
            lines = [
                f"- {'.'.join(map(str, one['loc'][2:]))}: {one['msg']}"
                for one in jsonvalue.loads(answer)["detail"]
            ]
        except (ValueError, TypeError, KeyError, IndexError):
            return self._failed(422, answer)
        return NotPredictedError(
            "The inputs you passed could not be validated:\n\n" + "\n".join(lines),
            422,
            hint=f"Inputs are given as `cog-nix {verb} -i name=value`, files as `-i name=@path`.",
        )

    def _failed(self, status: int, answer: bytes) -> NotPredictedError:
        text = answer.decode("utf-8", "replace").strip()
        said = f"\n\n{text}" if text else ""
        return NotPredictedError(f"/{self._endpoint} call returned status {status}{said}", status)

    def _request_or_fail(
        self, method: str, path: str, body: bytes | None = None, timeout: float | None = None
    ) -> tuple[int, bytes]:
        try:
            return self._request(method, path, body, timeout)
        except (OSError, HTTPException) as error:
            why = str(error) or type(error).__name__
            raise RuntimeFailure(f"The model stopped answering at {method} {path}: {why}") from error

    def _request(
        self, method: str, path: str, body: bytes | None = None, timeout: float | None = None
    ) -> tuple[int, bytes]:
        connection = HTTPConnection(self._host, timeout=timeout)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, body, {**headers, "Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _prediction(answer: dict[str, Any]) -> Prediction:
    return Prediction(
        status=str(answer.get("status", "")),
        output=answer.get("output"),
        error=answer.get("error") or "",
        logs=answer.get("logs") or "",
        metrics=answer.get("metrics") or {},
    )
