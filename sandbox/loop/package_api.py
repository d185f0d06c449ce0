"""Model cards of versions and tokens of requests, which moto takes and forgets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sandbox.loop.environment import Refusal
from sandbox.loop.wire import Moto, body

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


class PackageApi:
    """`CreateModelPackage` and `DescribeModelPackage`: moto's answers, with the card that a version was given."""

    names = frozenset({"CreateModelPackage", "DescribeModelPackage"})

    def __init__(self) -> None:
        self._cards: dict[str, object] = {}
        self._made: dict[str, dict[str, object]] = {}
        """Client token → what the first request with it was answered (API reference, `CreateModelPackage`)."""

    def answer(self, operation: str, environ: WSGIEnvironment, moto: Moto) -> dict[str, object]:
        """Answer one request; the caller lets one in at a time."""
        given = json.loads(body(environ))
        card, token = given.get("ModelCard"), str(given.get("ClientToken", ""))
        if operation == "CreateModelPackage" and token in self._made:
            return self._made[token]
        answered = moto.ask()
        if answered is None:
            refused = moto.refusal[1]
            raise Refusal(str(refused.get("__type", "ValidationException")), str(refused.get("message", "")))
        arn = str(answered["ModelPackageArn"])
        if operation == "CreateModelPackage":
            if card is not None:
                self._cards[arn] = card
            if token:
                self._made[token] = answered
            return answered
        return answered | ({"ModelCard": self._cards[arn]} if arn in self._cards else {})
