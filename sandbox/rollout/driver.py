"""Carries out a rollout: starts processes, changes the proxy's table, looks, and asks `rollout` what to do next."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rollout.judgement import Observed, judge
from rollout.plan import ENDS, WHOLE, Phase, State, advance, begin, weight
from sandbox.loop.processes import wait_until
from sandbox.rollout.routes import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rollout.judgement import Judgement, Limits
    from rollout.plan import Plan
    from sandbox.rollout.fleet import Fleet
    from sandbox.rollout.proxy import Proxy

LOOK_SECONDS = 0.25
POLL_SECONDS = 0.05


@dataclass(slots=True, kw_only=True)
class Driver:
    """Two versions, of which one is to take over from the other."""

    proxy: Proxy
    champion: Fleet
    """Has the requests."""
    challenger: Fleet
    """Has no process yet."""
    bounds: Sequence[float]
    """Of the latencies that servers count."""
    tell: Callable[[str], None]
    """Given a line for people at every change."""
    _marks: tuple[Observed, Observed] = field(default=(Observed(), Observed()), init=False)

    def serve(self, replicas: int, ready_seconds: float) -> bool:
        """Start the old version and give it all requests; whether it became ready."""
        self.champion.start(replicas)
        if not wait_until(self.champion.ready, ready_seconds, POLL_SECONDS):
            return False
        self.proxy.change(Table(champion=self.champion.ports()))
        return True

    def split(self, *, mirror: bool) -> None:
        """Give the new version, which is ready, the callers that ask for it, or a copy of every request."""
        table = Table(
            champion=self.champion.ports(), challenger=self.challenger.ports(), mirror=mirror, by_variant=not mirror
        )
        self.proxy.change(table)

    def canary(self, plan: Plan, limits: Limits, replicas: int, *, unseen: bool = False) -> State:
        """Raise the new version's share step by step, or take it back.

        Args:
            plan: The steps.
            limits: What is borne.
            replicas: Processes of the new version.
            unseen: While it is judged, the new version gets copies of the requests and answers nobody: blue/green, with
                both versions compared in the same time. Its one step is the whole.
        """
        self.challenger.start(replicas)
        state = begin(time.monotonic())
        while state.phase not in ENDS:
            time.sleep(LOOK_SECONDS)
            before, now = state, time.monotonic()
            state = advance(plan, state, now, ready=self.challenger.ready(), judgement=self._judge(limits, before))
            if (state.phase, state.step) != (before.phase, before.step):
                self._enter(weight(plan, state), state, mirror=unseen and state.phase is Phase.WATCHING)
        (self.champion if state.phase is Phase.PROMOTED else self.challenger).stop()
        return state

    def _judge(self, limits: Limits, state: State) -> Judgement | None:
        if state.phase is not Phase.WATCHING:
            return None
        challenger, champion = self._since()
        return judge(challenger, champion, limits, self.bounds)

    def _enter(self, share: int, state: State, *, mirror: bool) -> None:
        """Put a phase's or step's share in force, and count from here on."""
        champion, challenger = self.champion.ports(), self.challenger.ports()
        if mirror:
            share = 0
        elif share == WHOLE:
            champion = ()
        elif not share:
            challenger = ()
        self.proxy.change(Table(champion=champion, challenger=challenger, weight=share, mirror=mirror))
        self._marks = self.challenger.observe(), self.champion.observe()
        what = "copies" if mirror else f"{share} %"
        why = f": {state.reason}" if state.reason else ""
        self.tell(f"{state.phase}, {what} to {self.challenger.version.name}{why}")

    def _since(self) -> tuple[Observed, Observed]:
        challenger, champion = self._marks
        return self.challenger.observe().since(challenger), self.champion.observe().since(champion)

    def rolling(self, ready_seconds: float) -> State:
        """Replace process by process, never with fewer than before; back to the old version when one is not ready."""
        replicas, started = len(self.champion.servers), time.monotonic()
        for number in range(1, replicas + 1):
            self.challenger.start(1)
            if not wait_until(self.challenger.ready, ready_seconds, POLL_SECONDS):
                return self._roll_back(replicas, ready_seconds, started)
            self.proxy.change(_mixed(self.champion.ports()[1:], self.challenger.ports()))
            self.champion.stop(1)
            self.tell(f"{number} of {replicas} processes are {self.challenger.version.name}")
        return State(Phase.PROMOTED, replicas, time.monotonic())

    def back(self, replicas: int, ready_seconds: float) -> bool:
        """Give everything to the old version again, after the new one was promoted; whether it became ready.

        What served before was judged when it came, and is not judged again: its processes start beside those of the
        version that has to go, and one change of the table sends everybody to them. Until then nothing changes.

        Args:
            replicas: Processes of the old version.
            ready_seconds: Longest time until all of them are ready.
        """
        self.champion.start(replicas)
        if not wait_until(self.champion.ready, ready_seconds, POLL_SECONDS):
            self.champion.stop()
            return False
        self.proxy.change(Table(champion=self.champion.ports()))
        self.challenger.stop()
        self.tell(f"{Phase.ROLLED_BACK}: {self.champion.version.name} serves again")
        return True

    def _roll_back(self, replicas: int, ready_seconds: float, started: float) -> State:
        self.champion.start(replicas - len(self.champion.servers))
        wait_until(self.champion.ready, ready_seconds, POLL_SECONDS)
        self.proxy.change(Table(champion=self.champion.ports()))
        self.challenger.stop()
        reason = f"not ready after {ready_seconds:g} s"
        self.tell(f"{Phase.ROLLED_BACK}: {reason}")
        return State(Phase.ROLLED_BACK, 0, started, reason)


def _mixed(champion: tuple[int, ...], challenger: tuple[int, ...]) -> Table:
    """A table in which every process has the same weight, whatever it serves."""
    share = WHOLE * len(challenger) // (len(champion) + len(challenger))
    return Table(champion=champion, challenger=challenger, weight=share)
