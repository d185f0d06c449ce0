"""Random histories of the door of retraining, and what must be true of each at its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Final

from retraining.facts import OPEN, Kind, Status, identity, object_identity
from tests.support.retraining import ALARMS, BUCKET, DAY, MODEL, Account, asked

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from retraining.facts import Fact, Run

KEYS: Final = tuple(f"{MODEL}/{use}/2013-0{month}.csv" for use in ("train", "validation") for month in (1, 2, 3))
OUTPUTS: Final = (
    ("slipway-test-models", f"{MODEL}/jobs/1/output/model.tar.gz"),
    (BUCKET, f"{MODEL}/holdout/2013-01.csv"),
    (BUCKET, f"{MODEL}/train/"),
)
"""What is written in places that no model is trained on, and the mark of a folder."""
POISON: Final[tuple[object, ...]] = (
    "this is no JSON",
    [1, 2],
    {"source": "aws.s3", "detail-type": "Object Created"},
    {"id": "1", "source": "slipway", "detail-type": "Retraining Requested", "time": "-", "detail": {"model": "other"}},
    {"id": "1", "source": "aws.ec2", "detail-type": "Spot Interruption", "time": "-", "detail": {}},
)
TROUBLES: Final = ("error before", "error after", "kill before", "kill after")
ENDS: Final = (Status.SUCCEEDED, Status.SUCCEEDED, Status.FAILED, Status.NO_CAPACITY)
MAX_SKEW: Final = 240.0
STEP: Final = 6 * 3600.0
"""Of the time that passes while an account comes to rest."""


@dataclass(slots=True)
class History:
    """What happens to an account, chosen by `draw`."""

    draw: random.Random
    account: Account = field(default_factory=Account)
    late: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    poison: int = 0
    wanted: set[str] = field(default_factory=set[str])
    """Ids of all that asked for a training beside data."""
    shaky: float = 0.0
    """Probability that a call meets with trouble."""
    nested: bool = False
    counts: Counter[str] = field(default_factory=Counter[str])

    def __post_init__(self) -> None:
        self.account.fate = self._fate

    def _fate(self) -> str:
        """Of one call: nothing, trouble, or that something else happens in its midst."""
        if not self.shaky or self.draw.random() >= self.shaky:
            return ""
        if not self.nested and self.draw.random() < 0.4:
            self.nested = True
            self.counts["concurrent"] += 1
            self.account.now += self.draw.choice((0.1, 30.0))
            self.draw.choice((self.tick, self.handle, self.put))()
            self.account.now += self.draw.choice((0.1, 30.0))
            self.nested = False
            return ""
        trouble = self.draw.choice(TROUBLES)
        self.counts[trouble] += 1
        return trouble

    def put(self) -> None:
        """An object arrives; its event comes once, often, later, or never."""
        key = self.draw.choice(KEYS)
        version = self.account.world.put(key)
        self._tell(self.account.created(key, version), lost=0.2)

    def _tell(self, event: dict[str, object], lost: float = 0.0) -> None:
        chance = self.draw.random()
        if chance < lost:
            self.counts["lost"] += 1
        elif chance < 0.5:
            self.account.send(event)
        elif chance < 0.75:
            copies = self.draw.randint(2, 5)
            self.counts["duplicated"] += copies - 1
            self.account.send(*[event] * copies)
        else:
            self.counts["late"] += 1
            self.late += [event] * self.draw.randint(1, 2)

    def delete(self) -> None:
        """An object goes."""
        if self.account.world.objects:
            self.account.world.delete(self.draw.choice(sorted(self.account.world.objects)))

    def output(self) -> None:
        """Something is written where no model is trained on it, and a rule that is too wide lets it through."""
        bucket, key = self.draw.choice(OUTPUTS)
        self._tell(self.account.created(key, "v0", bucket))

    def ask(self) -> None:
        """An alarm, a schedule or a person."""
        event = self.draw.choice((self.account.drifted, self.account.scheduled, self.account.requested))()
        detail, time = event["detail"], event["time"]
        self.wanted.add(
            {
                "CloudWatch Alarm State Change": identity("alarm", f"{ALARMS}{MODEL}-drift-data", time),
                "Retraining Scheduled": identity("schedule", MODEL, time),
                "Retraining Requested": identity("request", event["id"]),
            }[event["detail-type"]]
        )
        assert detail
        self._tell(event)

    def spoil(self) -> None:
        """A message that nobody can read."""
        self.poison += 1
        self.account.send(self.draw.choice(POISON))

    def arrive(self) -> None:
        """Events that were late arrive, in any order."""
        self.draw.shuffle(self.late)
        some = self.draw.randint(0, len(self.late))
        self.account.send(*self.late[:some])
        del self.late[:some]

    def handle(self) -> None:
        """The function gets some of the messages, in any order."""
        queue = self.account.queue
        if queue:
            self.account.run(*self.draw.sample(queue, self.draw.randint(1, min(10, len(queue)))))

    def tick(self) -> None:
        """The clock ticks."""
        self.account.send(self.account.tick())
        self.account.run(self.account.queue[-1])

    def live(self) -> None:
        """Time passes, and what runs may end."""
        self.account.now += self.draw.choice((1.0, 60.0, 700.0, 4000.0, STEP, DAY))
        if self.draw.random() < 0.6:
            self.account.world.finish(self.draw.choice(ENDS))

    def weather(self) -> None:
        """Calls become reliable or not, and the function gets another host, with another clock."""
        self.shaky = self.draw.choice((0.0, 0.05, 0.3))
        self.account.skew = self.draw.uniform(-MAX_SKEW, MAX_SKEW)

    ACTIONS: ClassVar[dict[Callable[[History], None], int]] = {
        put: 6,
        handle: 8,
        tick: 4,
        live: 6,
        ask: 2,
        arrive: 2,
        weather: 2,
        output: 1,
        delete: 1,
        spoil: 1,
    }

    def play(self, actions: int) -> None:
        """So many actions."""
        for action in self.draw.choices([*self.ACTIONS], [*self.ACTIONS.values()], k=actions):
            action(self)

    def rest(self) -> list[str]:
        """Let everything arrive and end, without trouble; say what is not as promised."""
        self.shaky, self.account.skew = 0.0, 0.0
        self.account.send(*self.late)
        self.late = []
        for _ in range(int(DAY / STEP)):
            self.account.drain()
            self.account.wait(STEP)
        self.account.drain()
        wrong = list(self._found_late())
        self._settle()
        if len(self.account.dead) < self.poison:
            wrong.append(f"{len(self.account.dead)} of {self.poison} poisonous messages are dead")
        self.account.redrive()
        self._settle()
        if len(self.account.dead) != self.poison:
            wrong.append(f"{len(self.account.dead)} messages are dead after a redrive, {self.poison} are poisonous")
        return [*wrong, *self.violations()]

    def _settle(self) -> None:
        for _ in range(400):
            self.account.drain()
            last = self.account.runs[-1:]
            if not self._waiting() and all(run.status not in OPEN for run in last):
                return
            self.account.wait(STEP)

    def _waiting(self) -> bool:
        """Whether a fact is pending that is about something that is there, something is there without a fact, or the
        last run found no host and another type is left.
        """
        pending, current = self.account.pending, self._current()
        known = {fact.id for fact in self.account.ledger.read(MODEL).facts}
        return self._complete() and (
            bool(asked(pending))
            or any(fact.id in current for fact in pending)
            or bool(current - known)
            or any(map(self._next, self.account.runs[-1:]))
        )

    def _next(self, run: Run) -> str:
        """The instance type that a run has to be followed on, because there was no host for it."""
        return self.account.settings.after(run.instance) if run.status is Status.NO_CAPACITY else ""

    def _current(self) -> set[str]:
        return {object_identity(BUCKET, key, version) for key, version in self.account.world.objects.items()}

    def _found_late(self) -> Iterator[str]:
        missing = self._current() - {fact.id for fact in self.account.ledger.read(MODEL).facts}
        if missing and self.account.runs:
            yield f"{len(missing)} objects were not found within a day"

    def violations(self) -> Iterator[str]:
        """What is not as promised, of an account at rest."""
        runs = self.account.runs
        started = [run for run in runs if run.status is not Status.SPARED]
        yield from self._lost(started)
        yield from self._doubled(runs, started)
        yield from self._disordered(started)

    def _lost(self, started: list[Run]) -> Iterator[str]:
        facts = {fact.id for fact in self.account.ledger.read(MODEL).facts}
        if self.wanted - facts:
            yield f"lost: {len(self.wanted - facts)} requests were never written down"
        if self._waiting():
            ended = [f"run {run.number} is {run.status}" for run in started[-1:]]
            yield f"lost: still pending: {[fact.note for fact in self.account.pending]}, {ended}"
        newest = max((int(version[1:]) for version in self.account.world.objects.values()), default=0)
        seen = self.account.world.digests[started[-1].data_version] if started else 0
        if seen < newest and self._complete():
            yield "lost: the last training has not seen the newest object"
        if any(
            fact.kind is Kind.DATA and fact.note.split()[0][5:].split("/", 1)[1] not in KEYS for fact in self._facts()
        ):
            yield "a loop: something that is no data was taken for data"

    def _complete(self) -> bool:
        """Whether there is something to train and to validate on."""
        return {key.split("/")[1] for key in self.account.world.objects} == {"train", "validation"}

    def _facts(self) -> list[Fact]:
        return list(self.account.ledger.read(MODEL).facts)

    def _doubled(self, runs: list[Run], started: list[Run]) -> Iterator[str]:
        covered = Counter(id_ for run in runs for id_ in run.covers)
        if twice := sum(count > 1 for count in covered.values()):
            yield f"doubled: {twice} facts are covered by two runs"
        if len(self.account.executions) != len(started):
            yield f"doubled or lost: {len(self.account.executions)} executions of {len(started)} runs"
        asks = {fact.id for fact in asked(self._facts())}
        for before, run in pairwise(started):
            if (instead := self._next(before)) and run.instance != instead:
                yield f"lost: run {before.number} found no host, run {run.number} is not on {instead}"
            same = (run.data_version, run.image) == (before.data_version, before.image)
            if same and not instead and not run.covers & asks:
                yield f"doubled: run {run.number} had nothing that run {before.number} had not"

    def _disordered(self, started: list[Run]) -> Iterator[str]:
        executions = sorted(self.account.executions, key=lambda each: each.run.number)
        for before, after in pairwise(executions):
            if before.ended is None or after.begun < before.ended:
                yield f"run {after.run.number} began before run {before.run.number} had ended"
            if after.generation < before.generation:
                yield f"stale: run {after.run.number} has older data than run {before.run.number}"
        bound = self.account.settings.daily_runs or len(started)
        times = sorted(run.at for run in started)
        for first, last in zip(times, times[bound:], strict=False):
            if last - first < DAY - 2 * MAX_SKEW:
                yield f"more than {bound} runs in a day"
