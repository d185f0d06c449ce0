"""Tuning jobs that really search, where moto only writes them down.

A tuning job starts ordinary training jobs, one after the other whatever it may run at a time, and each to its end:
neither early stopping nor Hyperband's is imitated, nor what a search learns from its parents, which have to exist.
Source: SageMaker API reference, `CreateHyperParameterTuningJob` and `DescribeHyperParameterTuningJob`.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.loop.environment import Environment, Refusal
from sandbox.loop.search import trials
from sandbox.loop.wire import body

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from sandbox.loop.loopback import Clients
    from sandbox.loop.wire import Moto

OBJECTIVE_HYPERPARAMETER: Final = "_tuning_objective_metric"
"""Hyperparameter by which SageMaker tells a training what it is tuned for."""
POLL_SECONDS: Final = 0.1
_DIGITS: Final = 8


@dataclass(slots=True)
class Search:
    """One tuning job."""

    request: dict[str, Any]
    arn: str
    created: float = field(default_factory=time.time)
    status: str = "InProgress"
    failure: str = ""
    finished: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Trainings that ended well, in the API's spelling (`HyperParameterTrainingJobSummary`)."""
    failed: int = 0
    running: int = 0

    @property
    def name(self) -> str:
        """Name of the tuning job."""
        return self.request["HyperParameterTuningJobName"]

    @property
    def objective(self) -> dict[str, str]:
        """Metric, and whether more or less of it is better."""
        return self.request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]

    @property
    def best(self) -> dict[str, Any] | None:
        """The training with the best metric, the first of equals; None while none has ended."""
        sign = 1 if self.objective["Type"] == "Maximize" else -1
        metric = "FinalHyperParameterTuningJobObjectiveMetric"
        return max(self.finished, key=lambda each: sign * each[metric]["Value"], default=None)

    def end(self, status: str, failure: str = "") -> None:
        """The tuning job has ended; the status is written last, so that whoever sees the end sees all of it."""
        self.running, self.failure = 0, failure
        self.status = status

    def described(self) -> dict[str, Any]:
        """The tuning job as it is described; times are seconds since 1970."""
        counters = {"Completed": len(self.finished), "InProgress": self.running, "NonRetryableError": self.failed}
        shown: dict[str, Any] = {
            **{name: value for name, value in self.request.items() if name != "Tags"},
            "HyperParameterTuningJobArn": self.arn,
            "HyperParameterTuningJobStatus": self.status,
            "CreationTime": self.created,
            "TrainingJobStatusCounters": counters,
            "ObjectiveStatusCounters": {"Succeeded": len(self.finished), "Pending": self.running},
        }
        if self.best is not None:
            shown["BestTrainingJob"] = self.best
        return shown | ({"FailureReason": self.failure} if self.failure else {})


class TuningApi:
    """`CreateHyperParameterTuningJob` and `DescribeHyperParameterTuningJob`."""

    names = frozenset({"CreateHyperParameterTuningJob", "DescribeHyperParameterTuningJob"})

    def __init__(self, environment: Environment, clients: Clients) -> None:
        self._environment, self._clients = environment, clients
        self._searches: dict[str, Search] = {}

    def answer(self, operation: str, environ: WSGIEnvironment, moto: Moto) -> dict[str, object]:  # noqa: ARG002 - moto takes no part
        """Answer one request; the caller lets one in at a time."""
        request = json.loads(body(environ))
        found = self._searches.get(request["HyperParameterTuningJobName"])
        if operation == "CreateHyperParameterTuningJob":
            return {"HyperParameterTuningJobArn": self._create(request)}
        if found is None:
            raise Refusal("ResourceNotFound", f"there is no tuning job {request['HyperParameterTuningJobName']}")
        return found.described()

    def _create(self, request: dict[str, Any]) -> str:
        name, environment = request["HyperParameterTuningJobName"], self._environment
        if name in self._searches:
            raise Refusal("ResourceInUse", f"tuning job names must be unique within an account and region: {name}")
        parents = request.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", [])
        for parent in parents:
            if parent["HyperParameterTuningJobName"] not in self._searches:
                raise Refusal("ValidationException", f"there is no tuning job {parent['HyperParameterTuningJobName']}")
        arn = f"arn:{environment.partition}:sagemaker:{environment.region}:{environment.account_id}"
        search = Search(request, f"{arn}:hyper-parameter-tuning-job/{name}")
        self._searches[name] = search
        threading.Thread(target=self._work, args=(search,), name=f"tuning-{name}", daemon=True).start()
        return search.arn

    def _work(self, search: Search) -> None:
        config = search.request["HyperParameterTuningJobConfig"]
        try:
            for number, values in enumerate(trials(config), start=1):
                search.running = 1
                self._train(search, number, values)
                search.running = 0
        except (ClientError, BotoCoreError) as error:
            search.end("Failed", f"ClientError: {error}")
        else:
            if search.finished:
                search.end("Completed")
            else:
                search.end("Failed", f"AlgorithmError: no training ended well; the last one: {search.failure}")

    def _train(self, search: Search, number: int, values: dict[str, str]) -> None:
        """Run one training to its end."""
        sagemaker, request = self._clients.sagemaker, search.request
        definition, metric = request["TrainingJobDefinition"], search.objective["MetricName"]
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:_DIGITS]
        name = f"{search.name}-{number:03}-{digest}"
        static = definition["StaticHyperParameters"]
        job = {key: value for key, value in definition.items() if key != "StaticHyperParameters"}
        job["HyperParameters"] = {**static, **values, OBJECTIVE_HYPERPARAMETER: metric}
        sagemaker.create_training_job(TrainingJobName=name, Tags=request.get("Tags", []), **job)
        while (described := sagemaker.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] in {
            "InProgress",
            "Stopping",
        }:
            time.sleep(POLL_SECONDS)
        found = {each.get("MetricName"): each.get("Value") for each in described.get("FinalMetricDataList", [])}
        if described["TrainingJobStatus"] != "Completed" or metric not in found:
            search.failed += 1
            reason = described.get("FailureReason", f"the log of {name} does not tell {metric}")
            search.failure = reason
            return
        search.finished.append(
            {
                "TrainingJobName": name,
                "TrainingJobArn": described["TrainingJobArn"],
                "TuningJobName": search.name,
                "CreationTime": described["CreationTime"].timestamp(),
                "TrainingJobStatus": "Completed",
                "TunedHyperParameters": values,
                "ObjectiveStatus": "Succeeded",
                "FinalHyperParameterTuningJobObjectiveMetric": {**search.objective, "Value": found[metric]},
            }
        )
