"""The hosts of a job, as training sees them; one host alone needs no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from xgboost import collective

from scoring.errors import UserError, summarize

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Hosts:
    """This host among its peers; every host must make the same calls in the same order."""

    rank: int = 0
    """Place of this host, from 0."""
    size: int = 1
    """Number of hosts."""

    @property
    def first(self) -> bool:
        """Whether this is the host that keeps checkpoints, evaluates and writes the model."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Tell whether it is true on any host."""
        return bool(self._reduce(np.array([float(flag)]), collective.Op.MAX)[0])

    def sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add arrays of one shape, float64, over the hosts."""
        return self._reduce(values, collective.Op.SUM)

    def from_first(self, value: T) -> T:
        """Give every host the value of the first one."""
        return value if self.size == 1 else self._from(0, value)

    def gather(self, value: T) -> list[T]:
        """Give every host the values of all, in the order of their ranks."""
        return [value] if self.size == 1 else [self._from(rank, value) for rank in range(self.size)]

    def agree(self, work: Callable[[], T]) -> T:
        """Do this host's part of a step; when the data of any host are wrong, every host ends with all the reasons.

        Raises:
            UserError: the reasons, those of other hosts with their rank.
        """
        done, reason = None, ""
        try:
            done = work()
        except UserError as error:
            reason = str(error)
        reasons = self.gather(reason)
        if any(reasons):
            shown = [f"host {rank}: {text}" if self.size > 1 else text for rank, text in enumerate(reasons) if text]
            raise UserError(summarize(shown))
        return cast("T", done)

    @staticmethod
    def _from(rank: int, value: T) -> T:
        return collective.broadcast((value,), rank)[0]  # in a tuple, because a bare None is refused

    def _reduce(self, values: NDArray[np.float64], how: collective.Op) -> NDArray[np.float64]:
        return values if self.size == 1 else collective.allreduce(values, how)
