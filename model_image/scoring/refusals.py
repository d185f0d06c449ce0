"""Log records of requests that were refused or failed: which, of what model, and never what was in them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from scoring import log
from scoring.errors import Fault
from scoring.headers import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scoring.messages import Request, Response

    About = Callable[[bytes], Mapping[str, str]]  # what a record tells of a request's target, such as its route

logger = logging.getLogger(__name__)


class Refusals:
    """Logs the refusals of one server, so many a second at most."""

    def __init__(self, about: About, clock: Callable[[], float]) -> None:
        """Prepare; ``clock`` gives seconds and never goes back."""
        self._about = about
        self._bounded = log.Bounded(clock)

    def note(self, target: bytes, headers: Mapping[bytes, bytes], response: Response) -> None:
        """Log the answer to a refused request, if there is room; a defect has a record of its own."""
        if response.code != Fault.INTERNAL.code and self._bounded.admits():
            members = {**self._about(target), "trace_id": trace(headers)}
            found = log.fields(code=response.code, status=response.status, **members)
            logger.warning("request refused", extra=found)

    def tell_rest(self) -> None:
        """Say how many were left out, if any; to be called about once a second."""
        if count := self._bounded.left_out():
            logger.warning("further requests refused", extra=log.fields(requests=count))


class Failures:
    """Logs the defects that requests met, so many a second at most."""

    def __init__(self, about: About) -> None:
        """Prepare."""
        self._about = about
        self._bounded = log.Bounded()

    def note(self, request: Request, error: Exception) -> None:
        """Log where a request failed, if there is room."""
        if self._bounded.admits():
            members = {**self._about(request.target), "trace_id": trace(request.headers)}
            log.defect(logger, "request failed", error, **members)
