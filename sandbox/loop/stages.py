"""The stages of the local loop in order: each looks for its own earlier result first."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle import evaluation, pipelines, steps
from lifecycle.steps import MODEL_DIGEST_PROPERTY, TRAINING_JOB_PROPERTY
from sandbox.loop import account, cards, flights, image, packaging, poisons, progress, services
from sandbox.loop.files import unpack, write_bytes, write_json
from sandbox.loop.loopback import Clients
from sandbox.loop.spec import Evaluation, LoopError, LoopReport, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mypy_boto3_sagemaker.type_defs import PipelineExecutionStepTypeDef

    from lifecycle.steps import Package
    from sandbox.console import Console
    from sandbox.loop.flights import Dataset
    from sandbox.loop.image import BuiltImage
    from sandbox.loop.spec import LoopPaths, LoopSpec

MAX_ATTEMPTS = 20
"""Executions per data, code and settings; failed ones cost nothing here, and each `up` is somebody asking again."""
TIMEOUT_SECONDS = 3600.0
"""Longest time that `up` waits for an execution."""

_POLL_SECONDS = 0.25
_DIGEST_LENGTH = 12


@dataclass(slots=True)
class Loop:
    """One run: what is known so far, and whether anything had to be done."""

    spec: LoopSpec
    paths: LoopPaths
    console: Console
    changes: list[str] = field(default_factory=list[str])

    def run(self) -> LoopReport:
        """All steps in order."""
        with self.console.step("Prepare the flights of 2013"):
            data = flights.prepare(self.paths.data, self.spec.training_months)
            self._did("data", data.changed)
            if self.spec.poison:
                poisons.spoil(data, self.spec.training_months[-1], self.spec.poison)
        built = image.build(self.spec.image_source)
        with self.console.step("Start the AWS APIs on loopback"):
            endpoint, started = services.aws_api(self.spec, self.paths).ensure()
            self._did("AWS APIs", started)
            clients = Clients(endpoint, self.spec.region)
        self._fill_account(clients, data, built)
        self._run_pipeline(clients, built)
        package = self._approved(clients)
        if "pipeline execution" in self.changes:
            self.console.table(f"Model card of version {package.version}", cards.shown(clients.sagemaker, package.arn))
        work = self.paths.packaging(self.spec.model.name, package.version)
        self._did("image of the model", packaging.package(clients, self.spec, package.arn, work, self.console))
        model_dir = fetched(self.spec, self.paths, clients, package)
        with self.console.step(f"Serve {self.spec.model.name} version {package.version}"):
            server = services.model_server(self.spec, self.paths, built, model_dir, package.version)
            url, started = server.ensure()
            self._did("model server", started)
        holdout = self._judge(url, model_dir, data)
        return self._report(clients, package, holdout, url, endpoint)

    def _did(self, what: str, changed: bool) -> None:
        if changed:
            self.changes.append(what)

    def _fill_account(self, clients: Clients, data: Dataset, built: BuiltImage) -> None:
        with self.console.step("Upload months and model image") as step:
            self._did("account", account.declare(clients, self.spec))
            self._did("image", image.push(clients.ecr, account.repository_name(self.spec), built))
            self._did("objects", account.upload(clients.s3, self.spec, data, step.note) > 0)

    def _run_pipeline(self, clients: Clients, built: BuiltImage) -> None:
        """Run the pipeline on the data that is there, unless it has run on it."""
        spec = self.spec
        prefixes = [f"s3://{spec.data_bucket}/{spec.model.dataset_prefix}{name}/" for name in spec.model.data.delivered]
        parameters = {"DataVersion": steps.data_version(clients.s3, prefixes), "ImageDigest": built.digest}
        found: list[PipelineExecutionStepTypeDef] = []
        with self.console.step(f"Run the pipeline {spec.pipeline.name}") as step:

            def show(so_far: Sequence[PipelineExecutionStepTypeDef]) -> None:
                found[:] = so_far
                step.note(", ".join(progress.line(clients.sagemaker, each) for each in so_far[-1:]))

            try:
                execution = pipelines.start_or_adopt(
                    clients.sagemaker, spec.pipeline.name, parameters, max_attempts=MAX_ATTEMPTS
                )
                self._did("pipeline execution", execution.created)
                pipelines.wait_for_execution(
                    clients.sagemaker,
                    execution.arn,
                    on_progress=show,
                    poll_seconds=_POLL_SECONDS,
                    timeout_seconds=TIMEOUT_SECONDS,
                )
            except pipelines.PipelineFailedError as error:
                kind = RefusedError if any(map(progress.refuses, found)) else LoopError
                raise kind(f"{error}\n{self._steps(found)}") from error
            step.summary = execution.arn.rpartition("/")[2]
        if execution.created:
            self.console.info(self._steps(found))
            words = filter(None, (progress.said(clients.sagemaker, each) for each in found))
            self.console.info("\n".join(f"    {each}" for each in words))

    def _steps(self, found: Sequence[PipelineExecutionStepTypeDef]) -> str:
        """What each step did and how long it took, and where its log is."""
        return "\n".join(f"    {progress.summary(step, self.paths.jobs)}" for step in found)

    def _approved(self, clients: Clients) -> Package:
        """The newest approved version, which is what serves."""
        group = self.spec.package_group
        newest = steps.find_package(clients.sagemaker, group, lambda _: True)
        approved = steps.find_package(clients.sagemaker, group, lambda package: package.status == "Approved")
        if approved is None:
            waiting = "no version" if newest is None else f"{newest.arn} is {newest.status}"
            raise LoopError(f"{waiting}: only an approved version serves; approve one with `UpdateModelPackage`")
        if newest is not None and newest.version != approved.version:
            self.console.info(f"  version {newest.version} is {newest.status}; version {approved.version} serves")
        return approved

    def _judge(self, url: str, model_dir: Path, data: Dataset) -> Evaluation:
        """Ask the endpoint about the held-out month, unless this model has been asked about these rows before."""
        known = model_dir.with_suffix(".holdout.json")
        rows = data.files("holdout")
        question = "".join(
            sorted(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in rows.items())
        )
        with self.console.step("Ask the endpoint about the held-out month") as step:
            try:
                found = json.loads(known.read_text("utf-8"))
                if found["question"] == question:
                    return Evaluation(**found["evaluation"])
            except (OSError, ValueError, KeyError, TypeError):
                pass
            from sandbox.loop import evaluate  # noqa: PLC0415 - numpy takes a while and is needed here only

            labels, questions = evaluate.split_label(next(iter(rows.values())))
            rate = evaluate.base_rate(
                path for name in self.spec.model.data.delivered for path in data.files(name).values()
            )
            try:
                answers = evaluate.ask(url, questions, step.note)
            except evaluate.AskError as error:
                raise LoopError(
                    f"{error}; the server's log is {self.paths.server_log(self.spec.model.name)}"
                ) from error
            judged = evaluate.judge(labels, answers, rate)
            write_json(known, {"question": question, "evaluation": asdict(judged)})
            self._did("evaluation", True)
            return judged

    def _report(self, clients: Clients, package: Package, holdout: Evaluation, url: str, endpoint: str) -> LoopReport:
        document = json.loads(steps.fetch(clients.s3, package.evaluation_uri))
        report = LoopReport(
            model=self.spec.model.name,
            model_version=package.version,
            metrics=evaluation.metric_values(document),
            holdout=holdout,
            endpoint_url=f"{url}/invocations",
            curl=_curl(url, self.paths.data),
            changed=False,
            places={
                "AWS APIs": endpoint,
                "training data": f"s3://{self.spec.data_bucket}/{self.spec.model.dataset_prefix}",
                "model artefact": package.artefact_uri,
                "model package": package.arn,
                "log of the training": str(
                    self.paths.jobs / package.properties[TRAINING_JOB_PROPERTY] / "container.log"
                ),
                "log of the server": str(self.paths.server_log(self.spec.model.name)),
                "files": str(self.paths.root),
            },
        )
        return replace(report, changed=bool(self.changes))


def fetched(spec: LoopSpec, paths: LoopPaths, clients: Clients, package: Package) -> Path:
    """Unpack the artefact of a version, after checking that it is the one that was registered; where it lies then."""
    digest = package.properties[MODEL_DIGEST_PROPERTY]
    folder = paths.versions(spec.model.name) / f"{package.version}-{digest[:_DIGEST_LENGTH]}"
    if not folder.is_dir():
        content = steps.fetch(clients.s3, package.artefact_uri)
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            raise LoopError(f"{package.artefact_uri} has SHA-256 {found}; {digest} was registered: it was altered")
        archive = folder.with_suffix(".tar.gz")
        write_bytes(archive, content)
        unpack(archive, folder)
        archive.unlink()
    return folder


def _curl(url: str, data: Path) -> str:
    """A command line that asks about the first flight of the held-out month."""
    month = data / "holdout" / f"{flights.YEAR}-{flights.HOLDOUT_MONTH:02}.csv"
    with month.open(encoding="utf-8") as file:
        next(file)
        row = next(file).rstrip("\n").partition(",")[2]
    return f"curl -s {url}/invocations -H 'Content-Type: text/csv' -H 'Accept: application/json' -d '{row}'"
