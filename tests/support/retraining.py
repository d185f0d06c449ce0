"""An account in memory for the door of retraining: a clock, a bucket, a queue, pipelines, and trouble on demand.

Each part keeps what the service promises and no more: the queue delivers at least once and in any order; a pipeline
gives one execution for a token, and forgets tokens after a day; a listing is consistent. Trouble comes before a call
has an effect or after it, as an error or as the end of the process.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, cast

from lifecycle.steps import LifecycleError
from retraining.door import Door
from retraining.facts import OPEN, Book, Fact, Kind, ModelSettings, NewData, Run, Status
from retraining.handler import Answer, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from retraining.ledger import Ledger
    from retraining.world import World

MODEL: Final = "flight-delay"
BUCKET: Final = "slipway-test-data"
IMAGE: Final = f"sha256:{'a' * 64}"
ALARMS: Final = "slipway-test-"
BEGIN: Final = 1_700_000_000.0
DAY: Final = 86_400.0
TOKEN_SECONDS: Final = DAY
RECEIVES: Final = 5
SETTINGS: Final = ModelSettings(
    name=MODEL,
    pipeline=f"{ALARMS}{MODEL}",
    package_group=f"{ALARMS}{MODEL}",
    bucket=BUCKET,
    prefixes=(f"{MODEL}/train/", f"{MODEL}/validation/"),
    new_data=NewData(quiet_seconds=600, longest_seconds=3600, minimum_objects=1),
    drift=True,
    daily_runs=4,
    monthly_runs=60,
    instances=("ml.m5.xlarge", "ml.m6i.xlarge", "ml.m7i.xlarge"),
)


class Killed(BaseException):
    """The process ends here: no `except Exception` sees it."""


class Trouble(Exception):  # noqa: N818 - what a call of AWS ends with
    """A call that failed: throttled, timed out, or answered with 5xx."""


@dataclass(slots=True)
class MemoryLedger:
    """The ledger's promises, without a table."""

    facts: dict[tuple[str, str], Fact] = field(default_factory=dict[tuple[str, str], Fact])
    runs: dict[tuple[str, int], Run] = field(default_factory=dict[tuple[str, int], Run])

    def models(self) -> list[str]:
        return []

    def read(self, model: str) -> Book:
        facts = [fact for (name, _), fact in self.facts.items() if name == model]
        return Book(facts, [run for (name, _), run in sorted(self.runs.items()) if name == model])

    def record(self, fact: Fact) -> bool:
        return self.facts.setdefault((fact.model, fact.id), fact) is fact

    def claim(self, run: Run) -> bool:
        return self.runs.setdefault((run.model, run.number), run) is run

    def mark(self, run: Run, status: Status, arn: str) -> None:
        known = self.runs[run.model, run.number]
        before = {Status.CLAIMED} if status is Status.RUNNING else OPEN
        if known.token == run.token and known.status in before:
            self.runs[run.model, run.number] = replace(known, status=status, arn=arn)


@dataclass(slots=True)
class Execution:
    """One that was started."""

    run: Run
    begun: float
    generation: int
    """Of the bucket, when the data's digest was taken."""
    ended: float | None = None
    status: Status = Status.RUNNING


@dataclass(slots=True)
class MemoryWorld:
    """S3, the registry and SageMaker."""

    clock: Callable[[], float]
    objects: dict[str, str] = field(default_factory=dict[str, str])
    """Key → latest version."""
    generation: int = 0
    """How often the objects have changed."""
    digests: dict[str, int] = field(default_factory=dict[str, int])
    """Digest → generation at which it was last taken."""
    executions: dict[str, Execution] = field(default_factory=dict[str, Execution])
    approved: str = IMAGE

    def put(self, key: str) -> str:
        self.generation += 1
        self.objects[key] = version = f"v{self.generation}"
        return version

    def delete(self, key: str) -> None:
        self.generation += 1
        del self.objects[key]

    def versions(self, settings: ModelSettings) -> list[tuple[str, str]]:
        return [(key, version) for key, version in self.objects.items() if settings.trains_on(BUCKET, key)]

    def data_version(self, settings: ModelSettings) -> str:
        listed = sorted(self.versions(settings))
        if not all(any(key.startswith(each) for key, _ in listed) for each in settings.prefixes):
            raise LifecycleError("no object under a prefix: upload data before training")
        digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
        self.digests[digest] = self.generation
        return digest

    def image(self, _settings: ModelSettings) -> str:
        return self.approved

    def start(self, settings: ModelSettings, run: Run) -> str:
        now = self.clock()
        for arn, known in self.executions.items():
            if known.run.token == run.token and now - known.begun < TOKEN_SECONDS:
                return arn
        arn = f"{settings.pipeline}/{len(self.executions)}"
        self.executions[arn] = Execution(run, now, self.digests[run.data_version])
        return arn

    def find(self, _settings: ModelSettings, run: Run) -> str:
        return next((arn for arn, known in self.executions.items() if known.run.name == run.name), "")

    def status(self, arn: str) -> Status:
        return self.executions[arn].status

    def finish(self, status: Status) -> None:
        """All that runs ends."""
        for each in self.executions.values():
            if each.status is Status.RUNNING:
                each.status, each.ended = status, self.clock()


@dataclass(slots=True)
class Shaky:
    """A part whose calls meet with trouble, as `fate` says for each of them."""

    part: Any
    fate: Callable[[], str]
    """Empty, or `error` or `kill`, and ` before` or ` after`."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self.part, name)

        def shaken(*arguments: Any) -> Any:
            what, _, when = self.fate().partition(" ")
            found = call(*arguments) if when != "before" else None
            if what:
                raise Killed(name) if what == "kill" else Trouble(name)
            return found

        return shaken


@dataclass(slots=True, eq=False)
class Message:
    """One in the queue."""

    body: str
    receives: int = 0


@dataclass(slots=True)
class Account:
    """Everything together, with one model."""

    settings: ModelSettings = SETTINGS
    now: float = BEGIN
    skew: float = 0.0
    """How far the function's clock is ahead."""
    fate: Callable[[], str] = str
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    queue: list[Message] = field(default_factory=list[Message])
    dead: list[Message] = field(default_factory=list[Message])
    world: MemoryWorld = field(init=False)
    door: Door = field(init=False)
    answers: list[Answer] = field(default_factory=list[Answer])
    events: int = 0

    def __post_init__(self) -> None:
        self.world = MemoryWorld(self.clock)
        self.door = Door(
            models={self.settings.name: self.settings},
            ledger=cast("Ledger", Shaky(self.ledger, self.strike)),
            world=cast("World", Shaky(self.world, self.strike)),
            clock=lambda: self.now + self.skew,
            alarms=ALARMS,
        )

    def clock(self) -> float:
        return self.now

    def strike(self) -> str:
        return self.fate()

    def event(self, source: str, kind: str, detail: dict[str, Any], time: str = "") -> dict[str, Any]:
        self.events += 1
        return {
            "id": f"event-{self.events}",
            "source": source,
            "detail-type": kind,
            "time": time or str(self.now),
            "detail": detail,
        }

    def created(self, key: str, version: str, bucket: str = BUCKET) -> dict[str, Any]:
        detail = {"bucket": {"name": bucket}, "object": {"key": key, "version-id": version, "sequencer": version}}
        return self.event("aws.s3", "Object Created", detail)

    def drifted(self, what: str = "data", state: str = "ALARM") -> dict[str, Any]:
        detail = {"alarmName": f"{ALARMS}{MODEL}-drift-{what}", "state": {"value": state, "timestamp": str(self.now)}}
        return self.event("aws.cloudwatch", "CloudWatch Alarm State Change", detail)

    def scheduled(self) -> dict[str, Any]:
        return self.event("slipway", "Retraining Scheduled", {"model": MODEL})

    def requested(self, reason: str = "a new feature", **more: str) -> dict[str, Any]:
        return self.event(
            "slipway", "Retraining Requested", {"model": MODEL, "reason": reason, "requestedBy": "ann", **more}
        )

    def tick(self) -> dict[str, Any]:
        return self.event("slipway", "Retraining Tick", {})

    def send(self, *events: object) -> None:
        """Put events into the queue; text goes there as it is."""
        self.queue += [Message(event if isinstance(event, str) else json.dumps(event)) for event in events]

    def run(self, *messages: Message) -> Answer | None:
        """Hand messages of the queue to the function; None when it was killed. What it does not finish stays."""
        for message in messages:
            message.receives += 1
        records = [{"messageId": str(index), "body": each.body} for index, each in enumerate(messages)]
        try:
            found = answer(self.door, {"Records": records})
        except Killed:
            failed = set(range(len(messages)))
            found = None
        else:
            failed = {int(str(each["itemIdentifier"])) for each in found.response["batchItemFailures"]}
            self.answers.append(found)
        for index, message in enumerate(messages):
            if message not in self.queue:  # delivered twice at the same time, and handled
                continue
            if index not in failed:
                self.queue.remove(message)
            elif message.receives >= RECEIVES:
                self.queue.remove(message)
                self.dead.append(message)
        return found

    def drain(self) -> None:
        """Until the queue is empty."""
        while self.queue:
            self.run(*self.queue[:10])

    def redrive(self) -> None:
        """Move what is dead back to the queue, as SQS does when it is asked."""
        self.queue += [Message(message.body) for message in self.dead]
        self.dead = []

    def deliver(self, *events: dict[str, Any]) -> Answer:
        """Send events and have them handled."""
        self.send(*events)
        found = self.run(*self.queue[-len(events) :])
        assert found is not None
        return found

    def wait(self, seconds: float, *, finish: Status | None = Status.SUCCEEDED) -> Answer:
        """Let time pass; what runs ends; the clock ticks."""
        self.now += seconds
        if finish is not None:
            self.world.finish(finish)
        return self.deliver(self.tick())

    @property
    def runs(self) -> list[Run]:
        return list(self.ledger.read(MODEL).runs)

    @property
    def pending(self) -> list[Fact]:
        return self.ledger.read(MODEL).pending

    @property
    def executions(self) -> list[Execution]:
        return list(self.world.executions.values())


def asked(facts: list[Fact]) -> list[Fact]:
    """Those that are no data."""
    return [fact for fact in facts if fact.kind is not Kind.DATA]
