"""The one door: facts go in, and for each model the next step follows from what is recorded.

Nothing is remembered between calls. A start is three steps: the run is claimed in the ledger with the facts that it
answers, the execution is started with the run's token, its ARN is written down. Whoever is killed between two of them
leaves a claimed run, and the next call goes on with it. What arrived without an event is found by listing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lifecycle.steps import LifecycleError
from retraining.decision import Decision, Verdict, decide
from retraining.events import Reader, data_fact
from retraining.facts import OPEN, Book, Run, Status
from retraining.ledger import MOST_FACTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from retraining.events import Meaning
    from retraining.facts import Fact, ModelSettings
    from retraining.ledger import Ledger
    from retraining.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was decided about a model, and what became of it."""

    model: str
    verdict: Verdict
    reasons: tuple[str, ...]
    run: Run | None = None
    """The model's newest run."""
    found: int = 0
    """Objects that no event had announced."""
    ended: Run | None = None
    """The run whose end was seen now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The door of one environment."""

    models: Mapping[str, ModelSettings]
    """By name."""
    ledger: Ledger
    world: World
    clock: Callable[[], float]
    """Seconds since 1970."""
    alarms: str
    """What the names of the environment's alarms begin with."""

    def read(self, event: Mapping[str, Any]) -> Meaning:
        """Say what an event means.

        Raises:
            RefusedError: Nobody can act on it.
        """
        return Reader(self.models, self.alarms).read(event, self.clock())

    def record(self, fact: Fact) -> bool:
        """Write a reason down; False when it was known."""
        return self.ledger.record(fact)

    def advance(self, model: str) -> Outcome:
        """Take the next step of one model: follow its open run, or decide about a new one."""
        settings, book = self.models[model], self.ledger.read(model)
        last = book.last
        if last is not None and last.status in OPEN:
            last = self._follow(settings, last)
            if last.status in OPEN:
                reason = f"run {last.number} is {last.status}"
                return Outcome(model=model, verdict=Verdict.WAIT, reasons=(reason,), run=last)
            book = Book(book.facts, (*book.runs[:-1], last))
            return replace(self._decide(settings, book), ended=last)
        return self._decide(settings, book)

    def _follow(self, settings: ModelSettings, run: Run) -> Run:
        """Start a run that was claimed and perhaps not started; else see how it stands."""
        if run.status is Status.CLAIMED:
            return self._start(settings, run, self.world.find(settings, run))
        status = self.world.status(run.arn)
        if status is Status.NO_CAPACITY and not settings.after(run.instance):
            status = Status.FAILED
        if status is not run.status:
            self.ledger.mark(run, status, run.arn)
        return replace(run, status=status)

    def _start(self, settings: ModelSettings, run: Run, arn: str) -> Run:
        arn = arn or self.world.start(settings, run)
        self.ledger.mark(run, Status.RUNNING, arn)
        return replace(run, status=Status.RUNNING, arn=arn)

    def _decide(self, settings: ModelSettings, book: Book) -> Outcome:
        listed, found = self._reconcile(settings, book)
        decision = decide(settings, Book((*book.facts, *found), book.runs), listed, self.clock())
        outcome = Outcome(
            model=settings.name,
            verdict=decision.verdict,
            reasons=decision.reasons,
            run=book.last,
            found=len(found),
        )
        if decision.verdict is not Verdict.START:
            return outcome
        try:
            return self._claim(settings, book, decision, outcome)
        except LifecycleError as error:
            return replace(outcome, verdict=Verdict.WAIT, reasons=(*decision.reasons, str(error)))

    def _reconcile(self, settings: ModelSettings, book: Book) -> tuple[frozenset[str], list[Fact]]:
        """Ids of the facts of all objects that are there, and the facts that nobody had told."""
        now, known = self.clock(), {fact.id for fact in book.facts}
        facts = [
            data_fact(settings.name, settings.bucket, key, version, now)
            for key, version in (self.world.versions(settings) if settings.new_data else ())
        ]
        missing = [fact for fact in facts if fact.id not in known]
        for fact in missing:
            self.ledger.record(fact)
        return frozenset(fact.id for fact in facts), missing

    def _claim(self, settings: ModelSettings, book: Book, decision: Decision, outcome: Outcome) -> Outcome:
        """Write down what is decided, and do it.

        The data's digest is taken after the objects were listed: what arrives between the two is trained on, and its
        fact is found to be about data that the last run has had.
        """
        image = decision.image or self.world.image(settings)
        if not image:
            raise LifecycleError("no version is approved yet: ask by hand, with the digest of the image to train with")
        version = self.world.data_version(settings)
        run = next_run(settings, book, decision, image=image, version=version, now=self.clock())
        if not self.ledger.claim(run):
            reason = f"run {run.number} was decided by somebody else at the same time"
            return replace(outcome, verdict=Verdict.WAIT, reasons=(*decision.reasons, reason))
        if run.status is Status.SPARED:
            return replace(outcome, verdict=Verdict.NOTHING, reasons=run.reasons, run=run)
        return replace(outcome, run=self._start(settings, run, ""))


def next_run(settings: ModelSettings, book: Book, decision: Decision, *, image: str, version: str, now: float) -> Run:
    """The run that a decision leads to; one that need not be started, if the run before it has had all of it."""
    number = 1 if book.last is None else book.last.number + 1
    before = book.started[-1] if book.started else None
    same = before is not None and not decision.asked and (before.data_version, before.image) == (version, image)
    reasons = (*decision.reasons, f"run {before.number} has had this data") if same and before else decision.reasons
    return Run(
        model=settings.name,
        number=number,
        token=hashlib.sha256(f"{settings.pipeline} {number} {now!r}".encode()).hexdigest(),
        at=now,
        covers=frozenset(sorted(decision.covers)[:MOST_FACTS]),
        data_version=version,
        image=image,
        instance=decision.instance,
        reasons=reasons,
        status=Status.SPARED if same else Status.CLAIMED,
    )
