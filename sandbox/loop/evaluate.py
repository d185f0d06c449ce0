"""How good answers are, and asking a served model for them."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from sandbox.loop.spec import Evaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    Values = NDArray[np.float64]

BATCH_ROWS = 512
"""Rows per request: about 50 kB, far below the 6 MB that a SageMaker endpoint takes."""

_EPSILON = 1e-15


class AskError(Exception):
    """The endpoint did not answer as its contract says."""


def auc(labels: Values, scores: Values) -> float:
    """Area under the ROC curve, shape (rows,) each: the chance that a random positive scores above a random negative.

    Computed from ranks with ties counted half (Mann and Whitney's U); NaN when only one class occurs.
    """
    positives = float(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(labels: Values, probabilities: Values) -> float:
    """Mean negative log-likelihood in nats; probabilities are clipped to [1e-15, 1 - 1e-15]."""
    clipped = np.clip(probabilities, _EPSILON, 1 - _EPSILON)
    return float(-np.mean(labels * np.log(clipped) + (1 - labels) * np.log1p(-clipped)))


def judge(labels: Values, probabilities: Values, base_rate: float) -> Evaluation:
    """Judge answers beside the constant answer `base_rate`."""
    constant = np.full(len(labels), base_rate)
    return Evaluation(
        len(labels), auc(labels, probabilities), log_loss(labels, probabilities), log_loss(labels, constant)
    )


def split_label(path: Path) -> tuple[Values, list[str]]:
    """Labels and the rest of each row of a month's file, whose first column is the label."""
    rows = path.read_text("utf-8").splitlines()[1:]
    pairs = [row.partition(",") for row in rows]
    return np.array([float(label) for label, _, _ in pairs]), [features for _, _, features in pairs]


def base_rate(paths: Iterable[Path]) -> float:
    """Share of positive labels in some months."""
    return float(np.concatenate([split_label(path)[0] for path in paths]).mean())


def ask(endpoint: str, rows: list[str], note: Callable[[str], None]) -> Values:
    """Ask a model server for the probability of each row (CSV without label), over one connection.

    Raises:
        AskError: It answered with an error, or with another number of predictions than rows.
    """
    answers: list[float] = []
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)
    try:
        for start in range(0, len(rows), BATCH_ROWS):
            answers += _ask_batch(connection, rows[start : start + BATCH_ROWS])
            note(f"{len(answers):,} of {len(rows):,} rows")
    except (OSError, http.client.HTTPException) as error:
        raise AskError(f"{endpoint}: {error}") from error
    finally:
        connection.close()
    return np.array(answers)


def _ask_batch(connection: http.client.HTTPConnection, rows: list[str]) -> list[float]:
    headers = {"Content-Type": "text/csv", "Accept": "application/json"}
    connection.request("POST", "/invocations", "\n".join(rows).encode(), headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.client.OK:
        raise AskError(f"/invocations answered {answer.status}: {body[:500].decode('utf-8', 'replace')}")
    predictions = [float(value) for value in json.loads(body)["predictions"]]
    if len(predictions) != len(rows):
        raise AskError(f"/invocations answered {len(predictions)} predictions for {len(rows)} rows")
    return predictions
