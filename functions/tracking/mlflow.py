"""The few calls of MLflow's REST API that a run takes, signed as SageMaker's own plug-in signs them.

The whole library is 93 packages with compiled parts, for six requests. Sources: MLflow documentation, "REST API";
aws/sagemaker-mlflow 0.5 for service, address and header of an app (`auth_provider`, `mlflow_sagemaker_helpers`,
`mlflow_sagemaker_request_header_provider`).
"""

from __future__ import annotations

import hashlib
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.credentials import Credentials

    from tracking.version import Version

SIGNED_FOR: Final = "sagemaker"
"""Service that requests to an app are signed for; those to a tracking server are for another one."""
APP_HEADER: Final = "x-sm-mlflow-app-arn"
SECONDS: Final = 20
TAG: Final = "slipway."
"""First part of the names of our tags."""
IDENTITY: Final = f"{TAG}version"
"""Tag with the ARN of the version, by which its run is found again."""
NOTE: Final = "mlflow.note.content"
"""Tag that MLflow shows as the description of a run."""


class MlflowError(Exception):
    """MLflow refused a request; the message is for a person."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status."""


def app_endpoint(arn: str) -> str:
    """Address of the API of all apps of a region; a header says which is meant."""
    return f"https://mlflow.sagemaker.{_region(arn)}.app.aws"


def _region(arn: str) -> str:
    return arn.split(":")[3]


class Mlflow:
    """One app, or a tracking server of MLflow itself, which looks at neither signature nor header."""

    def __init__(self, arn: str, credentials: Credentials, endpoint: str | None = None) -> None:
        self._arn, self._endpoint = arn, endpoint or app_endpoint(arn)
        self._signer = SigV4Auth(credentials, SIGNED_FOR, _region(arn))
        self._http = URLLib3Session(timeout=SECONDS)

    def record(self, version: Version) -> str:
        """Bring the run of a version up to date, and make it where there is none: repeated, it changes nothing.

        A parameter may be told again with the same value and a metric is its value at a time, so both may come twice.
        Two requests at the same time would make two runs: the caller has to be the only one.

        Returns:
            Id of the run.

        Raises:
            MlflowError: A request was refused.
        """
        experiment = self._experiment(version.group)
        run = self._find(experiment, version.arn) or self._create(experiment, version)
        said = {
            IDENTITY: version.arn,
            NOTE: version.description,
            f"{TAG}approval": version.approval,
            **{f"{TAG}{name}": value for name, value in version.lineage.items()},
        }
        metrics = [
            {"key": each.key, "value": each.value, "timestamp": each.milliseconds, "step": 0}
            for each in version.metrics
        ]
        logged = {"metrics": metrics, "params": _pairs(version.parameters), "tags": _pairs(said)}
        self._ask("runs/log-batch", {"run_id": run, **logged})
        self._ask("runs/update", {"run_id": run, "status": "FINISHED", "end_time": version.ended})
        return run

    def _experiment(self, name: str) -> str:
        try:
            return self._ask("experiments/get-by-name", query={"experiment_name": name})["experiment"]["experiment_id"]
        except MlflowError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
        return self._ask("experiments/create", {"name": name})["experiment_id"]

    def _find(self, experiment: str, arn: str) -> str | None:
        wanted = f"tags.`{IDENTITY}` = '{arn}'"
        found = self._ask("runs/search", {"experiment_ids": [experiment], "filter": wanted, "max_results": 1})
        return next((run["info"]["run_id"] for run in found.get("runs", [])), None)

    def _create(self, experiment: str, version: Version) -> str:
        run = {
            "experiment_id": experiment,
            "run_name": f"version {version.number}",
            "start_time": version.started,
            "tags": _pairs({IDENTITY: version.arn}),
        }
        return self._ask("runs/create", run)["run"]["info"]["run_id"]

    def _ask(
        self, call: str, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """One request: with a body it changes or searches, with a query it reads."""
        content = b"" if body is None else json.dumps(body).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Amz-Content-SHA256": hashlib.sha256(content).hexdigest(),
            APP_HEADER: self._arn,
        }
        url = f"{self._endpoint}/api/2.0/mlflow/{call}" + (f"?{urlencode(query)}" if query else "")
        request = AWSRequest(method="GET" if body is None else "POST", url=url, data=content, headers=headers)
        self._signer.add_auth(request)
        answer = self._http.send(request.prepare())
        if answer.status_code != HTTPStatus.OK:
            raise MlflowError(answer.status_code, f"{call}: status {answer.status_code}, {answer.text[:500]}")
        return cast("dict[str, Any]", json.loads(answer.text))


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]
