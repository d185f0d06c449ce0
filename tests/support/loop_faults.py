"""The whole loop from an object to a version, with faults: the real door and pipeline, a model image in miniature.

    with Platform(folder) as platform:
        wrong = platform.happen(Fault("evaluate", "kill"))   # what is not as promised, after the next event as well

A fault is met by one container of a step, by the registry, or by calls of the door. Afterwards the next object arrives
in peace: then nothing may be lost, doubled or half done.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import sys
import urllib.request
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from lifecycle import pipelines, steps
from lifecycle.steps import LifecycleError
from retraining.facts import OPEN, NewData, Status
from retraining.handler import TICK_EVENT, deliver
from sandbox.console import Console
from sandbox.loop import account, image, services
from sandbox.loop.loopback import Clients
from sandbox.loop.processes import running
from sandbox.loop.retraining import object_created, open_local_door, settings_of
from sandbox.loop.run import tear_down
from sandbox.loop.spec import REFUSE_PATH, LoopPaths
from tests.loop.specs import loop_spec
from tests.loop.test_run import FAKE_IMAGE, TOY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from retraining.facts import Book, Run

FAULTY: Final = Path(__file__).with_name("faulty") / "sitecustomize.py"
QUIET: Final = NewData(quiet_seconds=60, longest_seconds=600, minimum_objects=1)
TICK_SECONDS: Final = 61.0
TICKS: Final = 60
"""After which a run that has not begun never will."""
EXECUTION_SECONDS: Final = 120.0
MAX_SKEW: Final = 240.0
ATTEMPTS: Final = 3
"""Of a call by the clients of the sandbox."""
CALLS: Final = ("throttled", "broken", "no answer", "no connection")
STEPS: Final = ("check", "train", "evaluate")
"""Words of the command lines of Process, Train and Evaluate."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong once."""

    where: str
    """One of `STEPS`, `register`, or `calls`; empty where nothing does."""
    what: str = ""
    """As in `faulty/sitecustomize.py`, for a step; calls of the registry are `refused`, or their answers are `lost`."""

    @property
    def fatal(self) -> bool:
        """Whether the execution fails that meets with it."""
        return self.where not in ("", "calls") and self.what != "lost"


FAULTS: Final = (
    *(Fault(step, what) for step in STEPS for what in ("kill", "late", "full")),
    Fault("register", "refused"),
    Fault("register", "lost"),
    Fault("calls"),
    Fault(""),
)
"""A container that is killed when all is written has failed like any other: SageMaker takes outputs of those that end
with 0 alone."""


class Platform:
    """An account of its own with one model; its processes end with it."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        """Start it; nothing is trained yet."""
        shutil.copytree(FAKE_IMAGE, folder / "image", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(FAULTY, folder / "image")
        self._plans = folder / "faults"
        self._plans.mkdir()
        self._folder, self._draw = folder, random.Random(seed)  # noqa: S311 - repeatable
        self._spec = loop_spec(TOY, folder / "state", Path(sys.executable), folder / "image")
        self._now, self._skew, self._months = 1_700_000_000.0, 0.0, 0
        self._weather = 0.0
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """Start the account."""
        paths = LoopPaths.of(self._spec.state_dir)
        endpoint, _ = services.aws_api(self._spec, paths).ensure()
        self._endpoint = endpoint
        self._clients = Clients(endpoint, self._spec.region)
        account.declare(self._clients, self._spec)
        built = image.build(self._spec.image_source)
        image.push(self._clients.ecr, account.repository_name(self._spec), built)
        calls = Clients(endpoint, self._spec.region)
        for client in (calls.s3, calls.sagemaker, calls.dynamodb):
            client.meta.events.register("before-call.*.*", self._before)
            client.meta.events.register("after-call.*.*", self._after)
        settings = replace(settings_of(self._spec), new_data=QUIET)
        self._door = open_local_door(calls, settings, lambda: self._now + self._skew)
        self._first(built.digest)
        return self

    def __exit__(self, *_: object) -> None:
        """End its processes."""
        tear_down(self._spec.state_dir, Console(io.StringIO()))

    def _before(self, **_: object) -> None:
        if self._draw.random() < self._weather / 2:
            raise self._trouble("before")

    def _after(self, **_: object) -> None:
        if self._draw.random() < self._weather / 2:
            raise self._trouble("after")

    def _trouble(self, when: str) -> Exception:
        kind = self._draw.choice(CALLS)
        self.counts[f"calls {kind} {when} their effect"] += 1
        errors: dict[str, Callable[[], Exception]] = {
            "throttled": lambda: _refusal("ThrottlingException", 400),
            "broken": lambda: _refusal("InternalFailure", 500),
            "no answer": lambda: ReadTimeoutError(endpoint_url="loopback"),
            "no connection": lambda: ConnectTimeoutError(endpoint_url="loopback"),
        }
        return errors[kind]()

    def _first(self, digest: str) -> None:
        """The first version, for which a person names the image."""
        self._arrive()
        detail = {"model": TOY.name, "reason": "the first", "requestedBy": "ann", "imageDigest": digest}
        asked = {"id": "first", "source": "slipway", "detail-type": "Retraining Requested", "time": "-"}
        deliver(self._door, {**asked, "detail": detail})
        self._finish()

    def happen(self, fault: Fault) -> list[str]:
        """An object arrives and meets with a fault, then another one does not; what is not as promised."""
        self.counts[f"{fault.where} {fault.what}".strip() or "no fault"] += 1
        before = self._versions()
        self._skew = self._draw.uniform(-MAX_SKEW, MAX_SKEW)
        self._weather = 0.15 if fault.where == "calls" else 0.0
        if fault.where in STEPS:
            (self._plans / fault.where).write_text(fault.what)
        if fault.where == "register":
            self._refuse(fault.what)
        self._arrive()
        status = self._finish()
        self._weather = 0.0
        wrong = list(self._wrong(before, fault, status))
        self._arrive()
        status, between = self._finish(), self._versions()
        if status is not Status.SUCCEEDED:
            wrong.append(f"the next event ended in {status}")
        return [*wrong, *self._lost(between)]

    def _refuse(self, what: str) -> None:
        """The call that registers fails: every time that the runner repeats it, or once, when it has had its effect."""
        wanted = {"operation": "CreateModelPackage", "times": 1 if what == "lost" else ATTEMPTS, "done": what == "lost"}
        request = urllib.request.Request(f"{self._endpoint}{REFUSE_PATH}", json.dumps(wanted).encode())  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=10) as answered:  # noqa: S310 - loopback
            answered.read()

    def _wrong(self, before: Sequence[str], fault: Fault, status: Status) -> Iterator[str]:
        """After the execution that met with the fault."""
        wanted = Status.FAILED if fault.fatal else Status.SUCCEEDED
        if status is not wanted:
            yield f"{fault}: the run is {status}, not {wanted}"
        if [*self._plans.iterdir()]:
            yield f"{fault} never happened"
        if len(self._versions()) != len(before) + (not fault.fatal):
            yield f"{fault}: {len(self._versions()) - len(before)} versions were registered"

    def _arrive(self) -> None:
        """Two objects; their events come twice, in any order, and one of them sometimes never."""
        self._months += 1
        events: list[dict[str, Any]] = []
        for use in ("train", "validation"):
            key = f"{self._spec.model.dataset_prefix}{use}/2013-{self._months:04}.csv"
            body = f"late,x\n1,{self._months}\n0,3\n0,4\n".encode()
            self._clients.s3.put_object(Bucket=self._spec.data_bucket, Key=key, Body=body)
            event = object_created(self._clients.s3, self._spec.data_bucket, key)
            events += [event] * (0 if use == "train" and self._draw.random() < 0.2 else 2)
        self._draw.shuffle(events)
        self._now += TICK_SECONDS
        for event in events:
            deliver(self._door, event)

    def _finish(self) -> Status:
        """Let the clock tick until nothing is open; how the newest run ended."""
        for _ in range(TICKS):
            self._now += TICK_SECONDS
            deliver(self._door, TICK_EVENT)
            newest = self._newest()
            if newest is not None and newest.arn and newest.status in OPEN:
                self._wait(newest.arn)
            elif newest is not None and newest.status not in OPEN and not self._book().pending:
                return newest.status
        raise AssertionError(f"after {TICKS} ticks {self._newest()} and {self._book().pending} are open")

    def _wait(self, arn: str) -> None:
        try:
            pipelines.wait_for_execution(
                self._clients.sagemaker,
                arn,
                on_progress=lambda _: None,
                poll_seconds=0.05,
                timeout_seconds=EXECUTION_SECONDS,
            )
        except LifecycleError:
            self.counts["executions failed"] += 1
        else:
            self.counts["executions succeeded"] += 1

    def _book(self) -> Book:
        weather, self._weather = self._weather, 0.0
        try:
            return self._door.ledger.read(TOY.name)
        finally:
            self._weather = weather

    def _newest(self) -> Run | None:
        return max(self._book().runs, key=lambda run: run.number, default=None)

    def _versions(self) -> list[str]:
        """Data of each version, the newest first."""
        packages = steps.packages(self._clients.sagemaker, self._spec.package_group)
        return [package.properties["data-version"] for package in packages]

    def _lost(self, versions: list[str]) -> Iterator[str]:
        """At rest: every object is in the newest version, each version is of other data, and each run one execution."""
        spec, sagemaker = self._spec, self._clients.sagemaker
        prefixes = [f"s3://{spec.data_bucket}/{spec.model.dataset_prefix}{use}/" for use in ("train", "validation")]
        if versions[:1] != [steps.data_version(self._clients.s3, prefixes)]:
            yield "lost: the newest version has not seen all objects"
        if len(set(versions)) < len(versions):
            yield "doubled: two versions of the same data"
        pages = sagemaker.get_paginator("list_pipeline_executions").paginate(PipelineName=spec.pipeline.name)
        executions = sum(len(page["PipelineExecutionSummaries"]) for page in pages)
        runs = [run for run in self._book().runs if run.status is not Status.SPARED]
        if executions != len(runs):
            yield f"{executions} executions of {len(runs)} runs"
        records = LoopPaths.of(spec.state_dir).jobs.glob("*/trainer.json")
        if left := [record.parent.name for record in records if running(record)]:
            yield f"processes are left: {left}"


def _refusal(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "injected"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # pyright: ignore[reportArgumentType] - of its fields, these are read
        "Any",
    )
