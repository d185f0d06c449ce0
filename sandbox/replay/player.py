"""Plays the year: what arrives is trained on, what is better takes over under load, and what is asked is watched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lifecycle import steps
from rollout.judgement import Limits
from rollout.plan import Phase, Plan
from rollout.recall import Limits as RecallLimits
from rollout.recall import Service, decide
from sandbox.loop import account, evaluate, flights, image, services
from sandbox.loop.loopback import Clients
from sandbox.loop.processes import end, wait_until
from sandbox.loop.spec import LoopError, LoopPaths
from sandbox.loop.stages import fetched
from sandbox.replay.learning import Decision, Learning
from sandbox.replay.months import Month, month_name
from sandbox.replay.records import Records
from sandbox.replay.traffic import Asked, Traffic
from sandbox.replay.watching import Seen, Watching
from sandbox.rollout.driver import Driver
from sandbox.rollout.fleet import Fleet, Version
from sandbox.rollout.proxy import Proxy
from sandbox.rollout.routes import Table
from scoring.metrics import LATENCY_BUCKETS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lifecycle.steps import Package
    from sandbox.console import Console, Step
    from sandbox.loop.image import BuiltImage
    from sandbox.loop.spec import Evaluation, LoopSpec

REPLICAS: Final = 1
READY_SECONDS: Final = 30.0
CAPTURE_SECONDS: Final = 30.0
ENOUGH_CAPTURED: Final = 0.95
"""Share of the answers: servers drop captures before they keep a caller waiting."""
FILE_SECONDS: Final = "0.5"
"""After which a file of captures is finished."""
PLAN: Final = Plan(weights=(50,), step_seconds=1.0, patience_seconds=45, ready_seconds=READY_SECONDS)
LIMITS: Final = Limits(min_requests=100, error_margin=0.03, slower=10, quantiles=(0.9,), shift=5.0)
"""Retrained models answer otherwise, by design: only answers that have nothing to do with the old ones end a rollout.
Latency is compared coarsely, for the trainings share this machine's processors."""
FROZEN: Final = "frozen"
FEWEST_FOR_RECALL: Final = 4
"""Months; from the middle one on, the next version that takes over is one that has to go."""
MIXED: Final = "mixed"
"""Its fault (`sandbox.rollout.faults`)."""
EARLY_BOARDS: Final = 200
"""Requests of a month until the first truth comes."""
DAY_SECONDS: Final = 86_400
TRIAL_SECONDS: Final = 400 * DAY_SECONDS
"""Between two months of MONTHS may be any time."""


@dataclass(slots=True)
class Chapter:
    """What became of a month's data, and of the month after, whose flights were asked about meanwhile."""

    arrived: int
    """Month whose data arrived."""
    decision: Decision
    rollout: str = ""
    """How the new version's rollout ended; empty without one."""
    asked: Asked = field(default_factory=Asked)
    """All requests since the data arrived."""
    serving: int = 0
    """Version in service at the end."""
    watched: Watched | None = None
    """What was seen in the month after; None after the last."""
    spoiled: bool = False
    """Whether the version that took over is served wrongly, which nothing but the truth can show."""
    recalled: str = ""
    """How it was taken back when the truth had come; empty where nothing was."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A month of requests, beside the truth."""

    month: int
    served: Seen
    """The version in service."""
    frozen: Seen
    """The first version, which would still serve without a loop, for the same requests."""
    frozen_quality: Evaluation
    """How good its answers are for them."""


class Player:
    """One year in an account on loopback of its own, whose processes end with it."""

    def __init__(self, spec: LoopSpec, console: Console, numbers: Sequence[int]) -> None:
        """Prepare.

        Args:
            spec: The model; nobody else may use its state folder.
            console: For people.
            numbers: Months to play, in order; the model of the first one is the frozen one.
        """
        self._spec, self._console, self._numbers = spec, console, tuple(numbers)
        self._paths = LoopPaths.of(spec.state_dir)

    def play(self) -> list[Chapter]:
        """Play all months.

        Raises:
            LoopError: No model passed the gate on the first month's data, or a server does not start.
        """
        with self._console.step(f"Prepare {len(self._numbers)} months of flights"):
            data = flights.prepare(self._paths.data, self._numbers, None).root
        built = image.build(self._spec.image_source)
        with self._console.step("Start the AWS APIs on loopback"):
            endpoint, _ = services.aws_api(self._spec, self._paths).ensure()
        clients = Clients(endpoint, self._spec.region)
        try:
            account.declare(clients, self._spec)
            image.push(clients.ecr, account.repository_name(self._spec), built)
            with Proxy(self._paths.root / "proxy") as proxy:
                platform = _Platform(self._spec, self._paths, clients, built, proxy)
                try:
                    return self._chapters(data, platform)
                finally:
                    platform.stop()
        finally:
            end(self._paths.api_record)

    def _chapters(self, data: Path, platform: _Platform) -> list[Chapter]:
        chapters: list[Chapter] = []
        begins_worse = self._numbers[len(self._numbers) // 2] if len(self._numbers) >= FEWEST_FOR_RECALL else 0
        months = [Month.read(data, number) for number in self._numbers]
        for arrived, following in zip(months, [*months[1:], None], strict=True):
            # after the last month, callers ask about the first one's flights while the last version is rolled out
            with self._console.step(f"{arrived.name} arrives") as step:
                platform.spoil_next |= arrived.number == begins_worse and following is not None
                chapter = platform.learn(data, arrived, following or months[0], step)
                decision = chapter.decision
                ended = (
                    f"version {decision.package.version} {chapter.rollout}" if decision.package else "no new version"
                )
                step.summary = f"{ended}: {decision.reason}"
            if following is not None:
                with self._console.step(f"{following.name} is asked about") as step:
                    rest = platform.look_early(following, chapter, step) if chapter.spoiled else following
                    chapter.watched = platform.watch(rest, following, chapter.asked, step)
                    step.summary = f"{chapter.asked.sent:,} requests, {chapter.asked.failures.total():,} failed"
            chapters.append(chapter)
        return chapters


@dataclass(frozen=True, slots=True)
class _Serving:
    """The version in service."""

    package: Package
    fleet: Fleet
    since: float = 0.0
    """Of the flights' clock, in seconds since the epoch."""


class _Platform:
    """What learns, serves and watches."""

    def __init__(self, spec: LoopSpec, paths: LoopPaths, clients: Clients, built: BuiltImage, proxy: Proxy) -> None:
        self._spec, self._paths, self._clients, self._proxy = spec, paths, clients, proxy
        self._learning = Learning(spec, clients, built)
        self._watching = Watching(spec, paths, clients, built)
        self._traffic = Traffic(lambda: proxy.port)
        self._records = Records(clients.sagemaker)
        self.spoil_next = False
        """Whether the next version to take over is served wrongly."""
        self._serving: _Serving | None = None
        self._previous: _Serving | None = None
        self._counted = 0
        """Answers whose captures were shipped before the month is over."""
        self._first: Package | None = None
        self._alarms: list[str] = []

    def stop(self) -> None:
        """End the servers."""
        if self._serving is not None:
            self._serving.fleet.stop()

    def learn(self, data: Path, arrived: Month, meanwhile: Month, step: Step) -> Chapter:
        """Train on what has arrived, and let what is better take over while callers ask about another month."""
        asked = Asked()
        if self._serving is None:
            chapter = self._learn(data, arrived, step)
        else:
            with self._traffic.during(meanwhile, asked):
                chapter = self._learn(data, arrived, step)
        if self._serving is None:
            raise LoopError(f"no model passed the gate on {month_name(arrived.number)}: {chapter.decision.reason}")
        chapter.asked, chapter.serving = asked, self._serving.package.version
        return chapter

    def _learn(self, data: Path, arrived: Month, step: Step) -> Chapter:
        chapter = Chapter(arrived.number, self._learning.arrive(data, arrived, self._alarms, step.note))
        package, old = chapter.decision.package, self._serving
        if package is None or (old is not None and old.package.arn == package.arn):
            return chapter
        settings = self._captures()
        chapter.spoiled = self.spoil_next and old is not None
        fault = MIXED if chapter.spoiled else ""
        new = _Serving(package, self._fleet(str(package.version), package, settings, fault), arrived.end.timestamp())
        chapter.rollout = self._begin(new) if old is None else self._take_over(old, new, step)
        if self._serving is new:
            self.spoil_next, self._previous = False, old
            self._learning.crown(package)
            self._records.promoted(package, old and old.package, new.since)
        chapter.spoiled &= self._serving is new
        return chapter

    def _begin(self, new: _Serving) -> str:
        new.fleet.start(REPLICAS)
        self._first, self._serving = new.package, new
        if not wait_until(new.fleet.ready, READY_SECONDS):
            raise LoopError("a model server does not become ready")
        self._proxy.change(Table(champion=new.fleet.ports()))
        return "serves"

    def _take_over(self, old: _Serving, new: _Serving, step: Step) -> str:
        driver = Driver(
            proxy=self._proxy, champion=old.fleet, challenger=new.fleet, bounds=LATENCY_BUCKETS, tell=step.note
        )
        state = driver.canary(PLAN, LIMITS, REPLICAS)
        if state.phase is Phase.PROMOTED:
            self._serving = new
            return "promoted"
        self._clients.sagemaker.update_model_package(
            ModelPackageArn=new.package.arn, ModelApprovalStatus="Rejected", ApprovalDescription=state.reason
        )
        return f"rolled back ({state.reason})"

    def look_early(self, month: Month, chapter: Chapter, step: Step) -> Month:
        """Ask about the month's first flights; when their truth has come, whether the version stays is decided.

        Returns:
            The month without these flights.
        """
        if self._serving is None or self._previous is None:
            raise LoopError("nothing served before")
        new, old = self._serving, self._previous
        first, rest = month.split(EARLY_BOARDS)
        self._ask(first, chapter.asked)
        step.note("truth about the first flights")
        seen = self._watching.compare(month, self._looked_at(), early=True)
        self._alarms = [kind for kind, raised in seen.summary["raised"].items() if raised]
        look = self._records.look(seen.summary)
        status = steps.describe_package(self._clients.sagemaker, old.package.arn).status
        service = Service(
            version=str(new.package.version),
            since=new.since,
            previous=str(old.package.version),
            previous_approved=status == "Approved",
            last_recall=None,
        )
        # One look is all that there is until the month is over.
        limits = RecallLimits(
            minimum_labels=self._watching.minimum_labels,
            looks=1,
            trial_seconds=TRIAL_SECONDS,
            window_seconds=7 * DAY_SECONDS,
        )
        decision = decide(service, [look], limits, month.end.timestamp())
        if not decision.back:
            return rest
        at = month.end.timestamp()
        again = _Serving(old.package, self._fleet(str(old.package.version), old.package, self._captures()), at)
        driver = Driver(
            proxy=self._proxy, champion=again.fleet, challenger=new.fleet, bounds=LATENCY_BUCKETS, tell=step.note
        )
        with self._traffic.during(rest, chapter.asked):
            if not driver.back(REPLICAS, READY_SECONDS):
                raise LoopError("the version before does not become ready")
        self._learning.crown(old.package)
        told = self._records.taken_back(new.package, old.package, at, decision.reason)
        self._serving, chapter.serving, chapter.recalled = again, old.package.version, told
        return rest

    def _looked_at(self) -> Package:
        """The version that is compared with what was asked: what the registry says that serves.

        Raises:
            LoopError: Another one serves.
        """
        if self._serving is None or self._first is None:
            raise LoopError("nothing serves")
        found, serving = self._records.looked_at(self._first), self._serving.package
        if found.arn != serving.arn:
            raise LoopError(f"version {serving.version} serves, and a look for drift would be at {found.version}")
        return found

    def _captures(self) -> dict[str, str]:
        return {"SLIPWAY_CAPTURE_DIR": str(self._watching.folder), "SLIPWAY_MAX_CAPTURE_FILE_S": FILE_SECONDS}

    def _fleet(self, name: str, package: Package, settings: dict[str, str], fault: str = "") -> Fleet:
        version = Version(
            name=name,
            model_dir=fetched(self._spec, self._paths, self._clients, package),
            python=self._spec.image_python,
            source=self._spec.image_source,
            settings=settings,
            fault=fault,
        )
        folder = self._paths.root / "servers"
        folder.mkdir(parents=True, exist_ok=True)
        return Fleet(version, folder)

    def _ask(self, month: Month, asked: Asked) -> None:
        """Ask about flights; what was captured goes to S3, and the truth about them comes."""
        self._traffic.once(month, asked)
        answers = asked.versions.total() - self._counted
        wait_until(lambda: self._watching.captured() >= answers, CAPTURE_SECONDS, 0.25)
        if self._watching.captured() < ENOUGH_CAPTURED * answers:
            raise LoopError(f"{self._watching.captured()} of {answers} answers were captured")
        self._watching.ship(month)
        self._watching.tell(month)
        self._counted = asked.versions.total()

    def watch(self, rest: Month, month: Month, asked: Asked, step: Step) -> Watched:
        """Ask about the rest of a month's flights; then it is over and the truth known, and the drift job runs."""
        if self._serving is None or self._first is None:
            raise LoopError("nothing serves")
        early = self._alarms if rest.skipped else []
        self._ask(rest, asked)
        self._counted = 0
        step.note("drift")
        served = self._watching.compare(month, self._looked_at())
        raised = [kind for kind, raised in served.summary["raised"].items() if raised]
        self._alarms = list(dict.fromkeys((*early, *raised)))
        frozen = self._watching.compare(month, self._first, all_versions=True)
        return Watched(month.number, served, frozen, self._judge_frozen(month, self._first))

    def _judge_frozen(self, month: Month, package: Package) -> Evaluation:
        """Ask the first version, on a server of its own, about all flights of a month."""
        fleet = self._fleet(FROZEN, package, {})
        fleet.start(1)
        try:
            if not wait_until(fleet.ready, READY_SECONDS):
                raise LoopError("the server of the frozen model does not become ready")
            labels, rows = month.flights()
            answers = evaluate.ask(services.address(*fleet.ports()), rows, lambda _: None)
            return evaluate.judge(labels, answers, float(labels.mean()))
        finally:
            fleet.stop()
