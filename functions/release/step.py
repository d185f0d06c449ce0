"""The release step itself: thin over `rollout`, which decides, and a cluster, which is asked and told.

Nothing is kept here. Each turn reads the Deployment, and each change is one apply that carries image and record
together: a step that is killed and started again goes on, and a second start of a release that has ended does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from release import record as records
from release.record import OutdatedError, Record, ReleaseError, Version
from rollout.plan import ENDS, Phase, Plan, State, advance, begin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from release.progress import Progress
    from rollout.judgement import Judgement

LOOK_SECONDS = 5.0


class Workload(Protocol):
    """The model's Deployment in a cluster."""

    def read(self) -> Mapping[str, Any]:
        """The Deployment as it is."""
        ...

    def progress(self) -> Progress:
        """Of whatever carries the Deployment's pods."""
        ...

    def apply(self, record: Record) -> None:
        """Put a record and its image on the Deployment."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """How releases of one model go."""

    workload: Workload
    container: str
    """Container whose image is the model."""
    plan: Plan
    """Patience; its one step is the whole, for whoever carries the pods takes the steps."""
    back_seconds: float
    """Longest time until the previous version is back."""
    judge: Callable[[Record], Judgement | None]
    """Holds what runs now against what ran before; called when all pods are new."""
    clock: Callable[[], float]
    """Seconds since the epoch."""
    sleep: Callable[[float], None]
    tell: Callable[[str], None]

    def roll_out(self, wanted: Version, *, newer_only: bool = False) -> Record:
        """Bring a version into service, or the previous one back.

        Args:
            wanted: The version.
            newer_only: Leave a newer one alone: events come late, and in any order.

        Raises:
            OutdatedError: With `newer_only`: a newer version runs.
            ReleaseError: Another release began meanwhile, or the previous version does not come back in time.
        """
        if newer_only and records.newer_runs(self.workload.read(), self.container, wanted):
            raise OutdatedError(f"nothing to do: a newer version than {wanted.name} runs")
        return self._finish(self._begun(wanted))

    def roll_back(self, reason: str = "asked for") -> Record:
        """Bring back what served before the last release.

        Args:
            reason: Why, for the record.

        Raises:
            ReleaseError: Nothing is known to have served before, or it does not come back in time.
        """
        found = records.read(self.workload.read())
        if found is None or found.previous is None:
            raise ReleaseError("no version is known to have served before: roll out the one you want")
        if found.state.phase is not Phase.ROLLED_BACK:
            state = State(Phase.ROLLED_BACK, found.state.step, self.clock(), reason)
            found = self._write(replace(found, state=state))
        return self._finish(found)

    def _begun(self, wanted: Version) -> Record:
        """The release of a version: the one that is under way or has ended, else a new one."""
        deployment = self.workload.read()
        found, serving = records.read(deployment), records.running(deployment, self.container)
        if found is not None and found.wanted.image == wanted.image:
            return found
        now = self.clock()
        if serving is not None and serving.image == wanted.image:
            return self._write(Record(wanted=wanted, previous=None, begun=now, state=State(Phase.PROMOTED, 0, now)))
        return self._write(Record(wanted=wanted, previous=serving, begun=now, state=begin(now)))

    def _write(self, record: Record) -> Record:
        self.workload.apply(record)
        reason = f": {record.state.reason}" if record.state.reason else ""
        self.tell(f"{record.wanted.name} {record.state.phase}{reason}")
        return record

    def _finish(self, record: Record) -> Record:
        while record.state.phase not in ENDS:
            state = self._next(record)
            if state != record.state:
                record = self._write(replace(record, state=state))
            else:
                self.sleep(LOOK_SECONDS)
            self._check_that_it_is_ours(record)
        if record.state.phase is Phase.ROLLED_BACK:
            self._wait_until_back(record)
        return record

    def _next(self, record: Record) -> State:
        progress, now = self.workload.progress(), self.clock()
        if progress.failure:
            return replace(record.state, phase=Phase.ROLLED_BACK, since=now, reason=progress.failure)
        judgement = self.judge(record) if record.state.phase is Phase.WATCHING else None
        return advance(self.plan, record.state, now, ready=progress.done, judgement=judgement)

    def _check_that_it_is_ours(self, record: Record) -> None:
        found = records.read(self.workload.read())
        if found is None or found.wanted != record.wanted:
            newer = "nobody's" if found is None else found.wanted.name
            raise ReleaseError(f"the release of {record.wanted.name} ends here: the Deployment is now {newer}")

    def _wait_until_back(self, record: Record) -> None:
        deadline = self.clock() + self.back_seconds
        while not self.workload.progress().done:
            if self.clock() > deadline:
                raise ReleaseError(f"{record.serving.name} is not back after {self.back_seconds:g} s")
            self.sleep(LOOK_SECONDS)
