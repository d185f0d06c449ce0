"""The stages of the local loop in order: each looks for its own earlier result first."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle import gate, steps
from lifecycle.requests import MODEL_DIGEST_PROPERTY, Capacity, TrainingPlan
from lifecycle.training_log import metric_definitions
from sandbox.loop import account, flights, image, services
from sandbox.loop.files import unpack, write_bytes, write_json
from sandbox.loop.loopback import Clients
from sandbox.loop.spec import KEY_ALIAS, Evaluation, LoopError, LoopReport

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.requests import TrainedModel
    from lifecycle.steps import Package
    from sandbox.console import Console
    from sandbox.loop.flights import Dataset
    from sandbox.loop.image import BuiltImage
    from sandbox.loop.spec import LoopPaths, LoopSpec

CHANNELS = ("train", "validation")

MAX_ATTEMPTS = 20
"""Attempts per data, code and settings; failed ones cost nothing here, and each `up` is somebody asking again."""

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
        built = image.build(self.spec.image_source)
        with self.console.step("Start the AWS APIs on loopback"):
            endpoint, started = services.aws_api(self.spec, self.paths).ensure()
            self._did("AWS APIs", started)
            clients = Clients(endpoint, self.spec.region)
        self._fill_account(clients, data, built)
        plan = self._plan(clients, built)
        trained = self._train(clients, plan)
        package = self._register(clients, trained)
        model_dir = self._fetch(clients, package)
        with self.console.step(f"Serve {self.spec.model.name} version {package.version}"):
            server = services.model_server(self.spec, self.paths, built, model_dir, package.version)
            url, started = server.ensure()
            self._did("model server", started)
        holdout = self._judge(url, model_dir, data)
        return self._report(package, trained, holdout, url, endpoint)

    def _did(self, what: str, changed: bool) -> None:
        if changed:
            self.changes.append(what)

    def _fill_account(self, clients: Clients, data: Dataset, built: BuiltImage) -> None:
        with self.console.step("Upload months and model image") as step:
            self._did("account", account.declare(clients, self.spec))
            self._did("image", image.push(clients.ecr, account.repository_name(self.spec), built))
            self._did("objects", account.upload(clients.s3, self.spec, data, step.note) > 0)

    def _plan(self, clients: Clients, built: BuiltImage) -> TrainingPlan:
        spec, training = self.spec, self.spec.model.training
        channels = {name: f"s3://{spec.data_bucket}/{spec.model.dataset_prefix}{name}/" for name in CHANNELS}
        settings = training.hyperparameters.model_dump()
        return TrainingPlan(
            model=spec.model.name,
            image_uri=f"{spec.repository_url}@{built.digest}",
            role_arn=spec.training_role_arn,
            channels=channels,
            data_version=steps.data_version(clients.s3, channels.values()),
            output_uri=f"s3://{spec.models_bucket}/{spec.model.name}",
            kms_key=_key_arn(spec),
            capacity=Capacity(
                instance_type=training.instance_type,
                instance_count=training.instance_count,
                volume_gib=training.volume_gib,
                max_runtime_seconds=training.max_runtime_seconds,
                max_wait_seconds=training.max_wait_seconds if training.spot else None,
            ),
            hyperparameters={"label": spec.model.label} | {name: str(value) for name, value in settings.items()},
            metrics=metric_definitions(training.hyperparameters.objective),
            network=None,
            tags={"Model": spec.model.name},
        )

    def _train(self, clients: Clients, plan: TrainingPlan) -> TrainedModel:
        with self.console.step(f"Train {plan.model}") as step:
            started = steps.start_or_adopt(clients.sagemaker, plan, max_attempts=MAX_ATTEMPTS)
            self._did("training job", started.created)

            def show(progress: steps.Progress) -> None:
                words = (f"{name.partition(':')[2]} {value:.4g}" for name, value in progress.metrics.items())
                step.note(" ".join((progress.phase.lower(), *words)))

            try:
                steps.wait_for_job(
                    clients.sagemaker,
                    started.job_name,
                    on_progress=show,
                    poll_seconds=_POLL_SECONDS,
                    timeout_seconds=plan.capacity.max_runtime_seconds,
                )
            except steps.TrainingFailedError as error:
                raise LoopError(f"{error}\nlog of the container: {self._job_log(started.job_name)}") from error
            step.summary = started.job_name
            return steps.evaluate(clients.s3, clients.sagemaker, started.job_name, kms_key=plan.kms_key)

    def _register(self, clients: Clients, trained: TrainedModel) -> Package:
        """Gate, register, approve; returns the newest approved version, which is what serves."""
        limits = self.spec.model.gate
        with self.console.step("Judge, register and approve the model") as step:
            decision = gate.decide(trained.metrics, metric=limits.metric, minimum=limits.minimum)
            reason = "; ".join(decision.reasons)
            step.summary = reason
            if not decision.passed:
                raise LoopError(
                    f"the gate refused {trained.job_name}: {reason}. Better data or settings can change that; "
                    f"the gate is `models[].gate` in the stack file."
                )
            package, created = steps.register(
                clients.sagemaker,
                self.spec.package_group,
                trained,
                reason=reason,
                instance_types=(self.spec.model.training.instance_type,),
            )
            self._did("model package", created)
            self._did(
                "approval",
                steps.approve(clients.sagemaker, package, f"environment local approves what passes: {reason}"),
            )
            return steps.describe_package(clients.sagemaker, package.arn)

    def _fetch(self, clients: Clients, package: Package) -> Path:
        """Unpack the artefact of an approved version, after checking that it is the one that was registered."""
        if package.status != "Approved":
            raise LoopError(f"{package.arn} is {package.status}; only an approved version may serve")
        digest = package.properties[MODEL_DIGEST_PROPERTY]
        folder = self.paths.versions(self.spec.model.name) / f"{package.version}-{digest[:_DIGEST_LENGTH]}"
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
            rate = evaluate.base_rate(path for name in CHANNELS for path in data.files(name).values())
            try:
                answers = evaluate.ask(url, questions, step.note)
            except evaluate.AskError as error:
                raise LoopError(
                    f"{error}; the server's log is {self.paths.server_log(self.spec.model.name)}"
                ) from error
            evaluation = evaluate.judge(labels, answers, rate)
            write_json(known, {"question": question, "evaluation": asdict(evaluation)})
            self._did("evaluation", True)
            return evaluation

    def _report(
        self, package: Package, trained: TrainedModel, holdout: Evaluation, url: str, endpoint: str
    ) -> LoopReport:
        report = LoopReport(
            model=self.spec.model.name,
            model_version=package.version,
            metrics=dict(trained.metrics),
            holdout=holdout,
            endpoint_url=f"{url}/invocations",
            curl=_curl(url, self.paths.data),
            changed=False,
            places={
                "AWS APIs": endpoint,
                "training data": f"s3://{self.spec.data_bucket}/{self.spec.model.dataset_prefix}",
                "model artefact": package.artefact_uri,
                "model package": package.arn,
                "log of the training": str(self._job_log(trained.job_name)),
                "log of the server": str(self.paths.server_log(self.spec.model.name)),
                "files": str(self.paths.root),
            },
        )
        return replace(report, changed=bool(self.changes))

    def _job_log(self, job_name: str) -> Path:
        return self.paths.jobs / job_name / "container.log"


def _key_arn(spec: LoopSpec) -> str:
    partition = spec.training_role_arn.split(":")[1]
    return f"arn:{partition}:kms:{spec.region}:{spec.account_id}:{KEY_ALIAS}"


def _curl(url: str, data: Path) -> str:
    """A command line that asks about the first flight of the held-out month."""
    month = data / "holdout" / f"{flights.YEAR}-{flights.HOLDOUT_MONTH:02}.csv"
    with month.open(encoding="utf-8") as file:
        next(file)
        row = next(file).rstrip("\n").partition(",")[2]
    return f"curl -s {url}/invocations -H 'Content-Type: text/csv' -H 'Accept: application/json' -d '{row}'"
