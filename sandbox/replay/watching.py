"""Captures and truth go to S3, and the drift job compares them with a model, as a processing job of the account."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from components import drift_definition
from components.pipeline_words import job_input, job_output
from lifecycle import steps
from sandbox.loop.spec import LoopError

if TYPE_CHECKING:
    from lifecycle.steps import Package
    from sandbox.loop.image import BuiltImage
    from sandbox.loop.loopback import Clients
    from sandbox.loop.spec import LoopPaths, LoopSpec
    from sandbox.replay.months import Month
    from settings.model import ModelSpec

VARIANT: Final = "eks/main"
"""Endpoint and variant in the layout of captures."""
REPORTS: Final = ("drift", "reports")
"""Where a release step looks for reports (`components.model_places`)."""
POLL_SECONDS: Final = 0.1
TIMEOUT_SECONDS: Final = 300.0


def watched(model: ModelSpec) -> tuple[dict[str, object], tuple[str, ...]]:
    """What is borne and what is not compared, as the stack file has it; one run a month raises at once.

    Raises:
        LoopError: It has nothing.
    """
    if model.drift is None:
        raise LoopError(
            f"models[{model.name}].drift is null, and the year shows what it finds: describe it, as in prod"
        )
    return {**drift_definition.limits(model, model.drift), "runs": 1}, drift_definition.uncompared(model, model.drift)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the drift job says of a month."""

    summary: dict[str, Any]
    """Scores, alarms and quality."""
    violations: list[dict[str, str]]
    distances: dict[str, float]
    """Population stability index by feature, and of the answers."""

    @property
    def moved(self) -> list[str]:
        """Features beyond their limit, the farthest first."""
        names = {one["feature_name"] for one in self.violations if one["kind"] == "data"}
        return sorted(names, key=lambda name: -self.distances.get(name, 0.0))


class Watching:
    """The places of captures, truth and reports of one model, and the job between them."""

    def __init__(self, spec: LoopSpec, paths: LoopPaths, clients: Clients, built: BuiltImage) -> None:
        """Prepare.

        Raises:
            LoopError: Nothing says what is borne.
        """
        self._limits, self._uncompared = watched(spec.model)
        self._spec, self._paths, self._clients, self._built = spec, paths, clients, built
        self.folder = paths.root / "captures"
        """Where servers capture."""

    @property
    def minimum_labels(self) -> int:
        """Labels below which the job says nothing of the quality."""
        return int(str(self._limits["minimum-labels"]))

    def _uri(self, *below: str) -> str:
        return "/".join((f"s3://{self._spec.models_bucket}/{self._spec.model.name}", *below))

    def captured(self) -> int:
        """Records of files that are finished."""
        return sum(path.read_bytes().count(b"\n") for path in self.folder.rglob("*.jsonl"))

    def ship(self, month: Month) -> int:
        """Move what was captured to S3, into the month's hour; how many files."""
        files = sorted(self.folder.rglob("*.jsonl"))
        for path in files:
            self._put(self._hour("captures", month, VARIANT) + path.name, path.read_bytes())
            path.unlink()
        return len(files)

    def tell(self, month: Month) -> None:
        """Give the truth about a month's flights."""
        lines = "".join(json.dumps(record) + "\n" for record in month.truth())
        self._put(self._hour("truth", month) + "labels.jsonl", lines.encode())

    def _hour(self, kind: str, month: Month, *below: str) -> str:
        return "/".join((kind, *below, f"{month.end:%Y/%m/%d/%H}", ""))

    def _put(self, key: str, content: bytes) -> None:
        self._clients.s3.put_object(Bucket=self._spec.models_bucket, Key=f"{self._spec.model.name}/{key}", Body=content)

    def compare(self, month: Month, package: Package, *, all_versions: bool = False, early: bool = False) -> Seen:
        """Run the drift job for a month and a model, also before the month is over.

        Args:
            month: Whose captures and truth.
            package: The model.
            all_versions: Whether it is told of the captures of others too.
            early: Whether another look at the month follows.
        """
        kind = "-early" if early else "-all" if all_versions else ""
        name = f"{self._spec.model.name}-drift-{month.number:02}-{package.version}{kind}"
        request = self._request(name, month, package, "" if all_versions else str(package.version))
        self._clients.sagemaker.create_processing_job(**request)
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            job = self._clients.sagemaker.describe_processing_job(ProcessingJobName=name)
            if job["ProcessingJobStatus"] == "Completed":
                break
            if job["ProcessingJobStatus"] != "InProgress" or time.monotonic() > deadline:
                log = self._paths.jobs / name / "container.log"
                raise LoopError(f"the drift job {name} is {job['ProcessingJobStatus']}; its log is {log}")
            time.sleep(POLL_SECONDS)
        found = {part: self._report(name, part) for part in ("drift", "constraint_violations", "statistics")}
        features: list[dict[str, Any]] = found["statistics"]["features"]
        distances = {each["name"]: each["distances"]["population_stability_index"] for each in features}
        return Seen(found["drift"], found["constraint_violations"]["violations"], distances)

    def _report(self, name: str, part: str) -> dict[str, Any]:
        return json.loads(steps.fetch(self._clients.s3, self._uri(*REPORTS, name, f"{part}.json")))

    def _request(self, name: str, month: Month, package: Package, version: str) -> dict[str, Any]:
        """The job that the evaluation of the pipeline would be, with other words, inputs and outputs."""
        definition = json.loads(self._spec.pipeline.definition)
        like = next(step for step in definition["Steps"] if step["Name"] == "Evaluate")["Arguments"]
        arguments = {
            **self._limits,
            "window-hours": month.hours,
            "environment": "local",
            "model": self._spec.model.name,
            "model-version": version,
            "now": month.end.isoformat(),
        }
        words = [word for flag, value in arguments.items() for word in (f"--{flag}", str(value))]
        ignored = [word for feature in self._uncompared for word in ("--without", feature)]
        inputs = {"captures": self._uri("captures", ""), "truth": self._uri("truth", ""), "model": package.artefact_uri}
        return {
            "ProcessingJobName": name,
            "ProcessingResources": like["ProcessingResources"],
            "RoleArn": like["RoleArn"],
            "NetworkConfig": like["NetworkConfig"],
            "StoppingCondition": like["StoppingCondition"],
            "AppSpecification": {
                "ImageUri": f"{self._spec.repository_url}@{self._built.digest}",
                "ContainerEntrypoint": ["python", "-m", "processing"],
                "ContainerArguments": ["drift", *words, *ignored],
            },
            "ProcessingInputs": [job_input(each, uri) for each, uri in inputs.items()],
            "ProcessingOutputConfig": {
                "KmsKeyId": self._spec.key_arn,
                "Outputs": [job_output("report", self._uri(*REPORTS, name))],
            },
        }
