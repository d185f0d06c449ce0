"""The pipeline that looks for drift as the program defines it, and captures for it to look at."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from components import drift_definition, drift_objects, iam
from components.model_places import Duty, ModelPlaces
from components.placeholders import CONTENT, LINES
from lifecycle import pipelines, steps
from looking import handler as looking
from looking.handler import Model
from sandbox.loop import evaluate
from sandbox.loop.progress import job_of
from sandbox.loop.spec import LoopPaths
from scoring.capture import VERSION_ATTRIBUTE
from settings.model import ApprovedSpec
from tests.loop.specs import AROUND, LABELS

if TYPE_CHECKING:
    from lifecycle.steps import Package
    from sandbox.loop.loopback import Clients
    from sandbox.loop.spec import LoopSpec

RECORD_ROWS: Final = 20
FARTHER: Final = 3
"""By how much the captured flights are longer than those that the model has learnt from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one run left."""

    report: dict[str, Any]
    violated: set[tuple[str, str]]
    """Kind and feature."""
    memory: dict[str, Any]
    metrics: dict[str, Any]
    """The line of the log that CloudWatch takes metrics from."""


class Watched:
    """One model, watched in the account on loopback."""

    def __init__(self, spec: LoopSpec, clients: Clients, package: Package) -> None:
        drift = spec.model.drift
        assert drift is not None
        self._spec, self._clients, self._package = spec, clients, package
        self._places = ModelPlaces(LABELS, spec.model)
        self._runs = 0
        self._pipeline = drift_definition.pipeline_name(LABELS, spec.model)
        clients.sagemaker.create_pipeline(
            PipelineName=self._pipeline,
            PipelineDefinition=drift_definition.drift_definition(LABELS, spec.model, drift, AROUND),
            RoleArn=iam.Account.of(LABELS.environment).role(self._places.role(Duty.DRIFT_PIPELINE)),
            ClientRequestToken="d" * 32,
        )
        for prefix in (self._places.captures, self._places.truth):
            self._put(f"{prefix}{LINES}", CONTENT[LINES])
        approved = ApprovedSpec.model_construct(
            version=package.version,
            image_digest=package.image_uri.rpartition("@")[2],
            model_data=package.artefact_uri,
        )
        told = drift_objects.variables(LABELS, spec.model, approved)
        self._function = Model.read({"PIPELINE": self._pipeline, **told})

    def run(self) -> Looked:
        """Start the pipeline as its schedule would, and wait for it."""
        self._runs += 1
        sagemaker = self._clients.sagemaker
        clients = looking.Clients(s3=self._clients.s3, sagemaker=sagemaker)
        arn = looking.look(clients, self._function, {"time": f"look {self._runs}"})["execution"]
        (step,) = pipelines.wait_for_execution(
            sagemaker, arn, on_progress=lambda _: None, poll_seconds=0.1, timeout_seconds=60
        )
        log = (LoopPaths.of(self._spec.state_dir).jobs / job_of(step) / "container.log").read_text()
        (said,) = [json.loads(line) for line in log.splitlines() if line.startswith('{"_aws"')]
        reports = f"{self._places.drift_reports}{arn.rpartition('/')[2]}/"
        violations = self._read(f"{reports}constraint_violations.json")["violations"]
        return Looked(
            report=self._read(f"{reports}drift.json"),
            violated={(each["kind"], each["feature_name"]) for each in violations},
            memory=self._read(f"{self._places.drift_memory}{self._package.version}/memory.json"),
            metrics=said,
        )

    def capture(self, endpoint: str) -> int:
        """Ask about flights that are longer than they were, keep what was said, and tell what became of them.

        Returns:
            How many.
        """
        file = LoopPaths.of(self._spec.state_dir).data / "validation/2013-01.csv"
        labels, rows = evaluate.split_label(file)
        place = file.read_text().splitlines()[0].split(",").index("distance") - 1
        rows = [_farther(row, place) for row in rows]
        answers = evaluate.ask(endpoint, rows, lambda _: None)
        captured: list[str] = []
        truth: list[str] = []
        for start in range(0, len(rows), RECORD_ROWS):
            part = slice(start, start + RECORD_ROWS)
            event = {"eventId": f"e{start}", "inferenceId": f"i{start}"}
            version = [f"{VERSION_ATTRIBUTE}{self._package.version}"]
            sides = {
                "endpointInput": "\n".join(rows[part]),
                "endpointOutput": "\n".join(f"{answer:.9g}" for answer in answers[part]),
            }
            data = {
                side: {"observedContentType": "text/csv", "data": text, "encoding": "CSV"}
                for side, text in sides.items()
            }
            captured.append(json.dumps({"captureData": data, "eventMetadata": {**event, "customAttributes": version}}))
            known = {"data": " ".join(str(label) for label in labels[part]), "encoding": "CSV"}
            truth.append(json.dumps({"groundTruthData": known, "eventMetadata": event}))
        hour = f"{datetime.now(UTC):%Y/%m/%d/%H}"
        self._put(f"{self._places.captures}eks/main/{hour}/captured.jsonl", "\n".join(captured))
        self._put(f"{self._places.truth}{hour}/labels.jsonl", "\n".join(truth))
        return len(rows)

    def kept(self) -> dict[str, str]:
        """Key → ETag of all that jobs have left."""
        prefix = f"{self._spec.model.name}/drift/"
        found = self._clients.s3.list_objects_v2(Bucket=self._spec.models_bucket, Prefix=prefix)
        return {item.get("Key", ""): item.get("ETag", "") for item in found.get("Contents", [])}

    def _put(self, key: str, text: str) -> None:
        self._clients.s3.put_object(Bucket=self._spec.models_bucket, Key=key, Body=text.encode())

    def _read(self, key: str) -> dict[str, Any]:
        return json.loads(steps.fetch(self._clients.s3, f"s3://{self._spec.models_bucket}/{key}"))


def _farther(row: str, place: int) -> str:
    (cells,) = csv.reader([row])
    cells[place] = str(float(cells[place]) * FARTHER) if cells[place] else ""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
