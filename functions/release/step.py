"""The release step itself: thin over `rollout`, which decides, and a cluster, which is asked and told.

Nothing is kept here. Each turn reads the Deployment, and each change is one apply that carries image and record
together: a step that is killed and started again goes on, and a second start of a release that has ended does nothing.
Steps may run at the same time: a change is applied to what was looked at, or decided anew, so the last one to begin
has the Deployment, and what it goes back to is what served before all that have not ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from release import record as records
from release.patience import UnreachableError
from release.progress import Progress
from release.record import NotBackError, OutdatedError, OvertakenError, Record, ReleaseError, Version
from rollout.plan import ENDS, Phase, Plan, State, advance, begin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rollout.judgement import Judgement

LOOK_SECONDS: Final = 5.0
WAKE_SECONDS: Final = 20.0
OVERTAKEN_SECONDS: Final = 0.5
ATTEMPTS: Final = 40
"""Changes by others that may come in between: controllers write each pod that becomes ready into the status."""
AGAIN: Final = "To release it once more, approve it again and start this with --again; a build, with AGAIN=1"


class Workload(Protocol):
    """The model's Deployment in a cluster."""

    def read(self) -> Mapping[str, Any]:
        """The Deployment as it is."""
        ...

    def progress(self) -> Progress:
        """Of whatever carries the Deployment's pods."""
        ...

    def apply(self, record: Record, seen: Mapping[str, Any]) -> None:
        """Put a record and its image on the Deployment.

        Args:
            record: The release.
            seen: The Deployment as it was read.

        Raises:
            OvertakenError: It has changed since.
        """
        ...

    def skip_steps(self, record: Record) -> None:
        """Let what a release brings back have everything at once, if steps lead there.

        Raises:
            OvertakenError: What carries the pods has changed while it was looked at.
        """
        ...

    def wake(self) -> None:
        """Let a controller that has lost sight of what carries the pods see it again.

        Raises:
            ReleaseError: That may not be done, or it has changed while it was looked at.
        """
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

    def roll_out(self, wanted: Version, *, newer_only: bool = False, again: bool = False) -> Record:
        """Bring a version into service, or the previous one back.

        Args:
            wanted: The version.
            newer_only: Leave a newer one alone: events come late, and in any order.
            again: Release it once more if it was taken back, which otherwise stays so.

        Raises:
            OutdatedError: With `newer_only`: a newer version runs.
            ReleaseError: Another release began meanwhile, or the previous version does not come back in time.
        """
        record = self._change(partial(self._begin, wanted, newer_only=newer_only, again=again))
        if record.state.phase is Phase.ROLLED_BACK:
            self.tell(f"{wanted.name} was taken back and stays so ({record.state.reason}). {AGAIN}")
        return self._finish(record)

    def roll_back(self, reason: str = "asked for") -> Record:
        """Bring back what served before the last release.

        Args:
            reason: Why, for the record.

        Raises:
            ReleaseError: Nothing is known to have served before, or it does not come back in time.
        """
        return self._finish(self._change(partial(self._take_back, reason)))

    def _begin(self, wanted: Version, deployment: Mapping[str, Any], *, newer_only: bool, again: bool) -> Record:
        """The release of a version: the one that is under way or has ended, else a new one."""
        if newer_only and records.newer_runs(deployment, self.container, wanted):
            raise OutdatedError(f"nothing to do: a newer version than {wanted.name} runs")
        found, now = records.read(deployment), self.clock()
        same = found is not None and found.wanted.image == wanted.image
        if found is not None and same and not (again and found.state.phase is Phase.ROLLED_BACK):
            return found
        settled = records.settled(found, records.running(deployment, self.container))
        if settled is not None and settled.image == wanted.image:
            return Record(wanted=wanted, previous=None, begun=now, state=State(Phase.PROMOTED, 0, now))
        return Record(wanted=wanted, previous=settled, begun=now, state=begin(now))

    def _take_back(self, reason: str, deployment: Mapping[str, Any]) -> Record:
        found = records.read(deployment)
        if found is None or found.previous is None:
            raise ReleaseError("no version is known to have served before: roll out the one you want")
        if found.state.phase is Phase.ROLLED_BACK:
            return found
        return replace(found, state=State(Phase.ROLLED_BACK, found.state.step, self.clock(), reason))

    def _go_on(self, record: Record, state: State, deployment: Mapping[str, Any]) -> Record:
        """The release after one turn, unless somebody has moved it meanwhile: then it is where they put it."""
        found = records.read(deployment)
        if found is None or found.wanted != record.wanted:
            newer = "nobody's" if found is None else found.wanted.name
            raise ReleaseError(f"the release of {record.wanted.name} ends here: the Deployment is now {newer}")
        return replace(found, state=state) if found == record else found

    def _change(self, decide: Callable[[Mapping[str, Any]], Record]) -> Record:
        """Write what is decided about the Deployment as it is; about what others made of it when they were faster."""
        for _ in range(ATTEMPTS):
            seen = self.workload.read()
            record = decide(seen)
            if record == records.read(seen):
                return record
            try:
                self.workload.apply(record, seen)
            except OvertakenError:
                self.sleep(OVERTAKEN_SECONDS)
            else:
                reason = f": {record.state.reason}" if record.state.reason else ""
                self.tell(f"{record.wanted.name} {record.state.phase}{reason}")
                return record
        raise ReleaseError(f"others changed the Deployment {ATTEMPTS} times in between: start this again")

    def _finish(self, record: Record) -> Record:
        while record.state.phase not in ENDS:
            record = self._turn(record)
        if record.state.phase is Phase.ROLLED_BACK or record.previous is None:
            self._wait_until_back(record)
        return record

    def _turn(self, record: Record) -> Record:
        try:
            state = self._next(record)
            if state == record.state:
                self._wait()
            return self._change(partial(self._go_on, record, state))
        except UnreachableError as error:
            raise UnreachableError(f"{record.wanted.name} is {record.state.phase}, and undecided: {error}") from error

    def _wait(self) -> None:
        """Until the next look; a controller is woken now and then, if that is allowed."""
        before = self.clock()
        self.sleep(LOOK_SECONDS)
        if before // WAKE_SECONDS == self.clock() // WAKE_SECONDS:
            return
        try:
            self.workload.wake()
        except UnreachableError:
            raise
        except ReleaseError:
            return

    def _next(self, record: Record) -> State:
        progress, now = self.workload.progress(), self.clock()
        if progress.failure:
            return replace(record.state, phase=Phase.ROLLED_BACK, since=now, reason=progress.failure)
        judgement = self.judge(record) if record.state.phase is Phase.WATCHING else None
        return advance(self.plan, record.state, now, ready=progress.done, judgement=judgement)

    def _wait_until_back(self, record: Record) -> None:
        """Wait until what served before has everything; it was judged when it came, and is not judged again.

        Whoever carries the pods may give up and go on: a Deployment past its deadline does, and may still say so of the
        version that it left, and a Rollout does when its steps are skipped. So only time ends this.
        """
        deadline, told = self.clock() + self.back_seconds, ""
        while not (progress := self._look_back(record)).done:
            if progress.failure not in ("", told):
                told = progress.failure
                self.tell(f"{record.serving.name} is not back yet: {told}")
            if self.clock() > deadline:
                raise NotBackError(record, f"{told or 'its pods are not there'}, after {self.back_seconds:g} s")
            self._wait()

    def _look_back(self, record: Record) -> Progress:
        """How far the way back is; whoever may not skip steps waits for them.

        Raises:
            NotBackError: Another release has begun.
        """
        found = records.read(self.workload.read())
        if found is None or found.wanted != record.wanted:
            raise NotBackError(record, f"the Deployment is now {'nobody' if found is None else found.wanted.name}'s")
        try:
            if record.state.phase is Phase.ROLLED_BACK:
                self.workload.skip_steps(record)
        except UnreachableError:
            raise
        except OvertakenError:
            return Progress(done=False)
        except ReleaseError as error:
            return replace(self.workload.progress(), failure=str(error))
        return self.workload.progress()
