"""What the door knows: reasons to retrain (facts), what was started for them (runs), and what a model asks for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ID_BYTES = 8
"""Of a fact's id: two of 100,000 facts have the same one with a probability of 3e-10."""


class Kind(StrEnum):
    """Why somebody wants a model to be trained again."""

    DATA = "data"
    """A version of an object has arrived."""
    SCHEDULE = "schedule"
    """It is time."""
    DRIFT = "drift"
    """An alarm of the monitoring says that data or answers have moved."""
    HAND = "hand"
    """A person or a program of ours asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One reason, which is the same however often and by whom it is told."""

    model: str
    kind: Kind
    id: str
    """`identity` of what makes it this one."""
    at: float
    """When it was first recorded, in seconds since 1970 by our clock."""
    note: str
    """For people: which object, schedule, alarm or person."""
    image: str = ""
    """Digest of the image to train with, where a person names one."""


class Status(StrEnum):
    """How far a run has come."""

    CLAIMED = "claimed"
    """Its facts are taken; whether its execution has been started is not known."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    NO_CAPACITY = "no-capacity"
    """AWS had no host of its type, and there is another type to try: nothing is wrong with data or code."""
    SPARED = "spared"
    """Not started: the run before it has had this data."""


OPEN = frozenset({Status.CLAIMED, Status.RUNNING})
"""A model has at most one run like that."""


VAIN = frozenset({Status.FAILED, Status.STOPPED})
"""A run that ended so has answered its facts, and nothing came of it: a person has to hear of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a model's pipeline, decided before it is started."""

    model: str
    number: int
    """One more than that of the run before it."""
    token: str
    """`ClientRequestToken`: however often the start is asked for, there is one execution."""
    at: float
    """When it was decided."""
    covers: frozenset[str]
    """Facts that it answers."""
    data_version: str
    image: str
    """Digest of the training image."""
    reasons: tuple[str, ...]
    instance: str
    """SageMaker instance type of its training."""
    status: Status = Status.CLAIMED
    arn: str = ""
    """Of the execution, as soon as it is known."""

    @property
    def name(self) -> str:
        """Display name of the execution: by it a start is found of which no answer came."""
        return f"retraining-{self.number}-{self.token[:ID_BYTES]}"


@dataclass(frozen=True, slots=True)
class Book:
    """All that is recorded of one model."""

    facts: Sequence[Fact] = ()
    runs: Sequence[Run] = ()
    """By number."""

    @property
    def pending(self) -> list[Fact]:
        """Facts that no run has answered, the oldest first."""
        covered = frozenset[str]().union(*(run.covers for run in self.runs))
        return sorted((fact for fact in self.facts if fact.id not in covered), key=lambda fact: (fact.at, fact.id))

    @property
    def last(self) -> Run | None:
        """The newest run."""
        return self.runs[-1] if self.runs else None

    @property
    def started(self) -> list[Run]:
        """Runs that cost something."""
        return [run for run in self.runs if run.status is not Status.SPARED]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewData:
    """When objects that have arrived are enough."""

    quiet_seconds: float
    """Nothing more may have arrived for so long."""
    longest_seconds: float
    """After this time since the first of them, it does not matter whether more arrive."""
    minimum_objects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What the stack file says of one model."""

    name: str
    pipeline: str
    """Name of its pipeline."""
    package_group: str
    bucket: str
    """Bucket of its data."""
    prefixes: tuple[str, ...]
    """Prefixes of what it is trained and validated on."""
    new_data: NewData | None
    drift: bool
    daily_runs: int | None
    """Runs in 24 hours at most; None for no bound."""
    monthly_runs: int | None
    """Runs in 30 days at most; None for no bound."""
    instances: tuple[str, ...]
    """Instance types of its training: that of the pipeline, then those to take when there is none of it, in order."""

    def after(self, instance: str) -> str:
        """The instance type to take when there was none of this one; empty when none is left."""
        at = self.instances.index(instance) if instance in self.instances else 0
        return next(iter(self.instances[at + 1 :]), "")

    def document(self) -> str:
        """These settings as the table has them."""
        data = self.new_data
        return json.dumps(
            {
                "name": self.name,
                "pipeline": self.pipeline,
                "packageGroup": self.package_group,
                "bucket": self.bucket,
                "prefixes": self.prefixes,
                "newData": data
                and {
                    "quietSeconds": data.quiet_seconds,
                    "longestSeconds": data.longest_seconds,
                    "minimumObjects": data.minimum_objects,
                },
                "drift": self.drift,
                "dailyRuns": self.daily_runs,
                "monthlyRuns": self.monthly_runs,
                "instances": self.instances,
            }
        )

    @classmethod
    def parse(cls, document: str) -> ModelSettings:
        """Read what `document`, or `components.retraining_objects.model_document`, writes."""
        found: Mapping[str, Any] = json.loads(document)
        data = found["newData"]
        return cls(
            name=found["name"],
            pipeline=found["pipeline"],
            package_group=found["packageGroup"],
            bucket=found["bucket"],
            prefixes=tuple(found["prefixes"]),
            new_data=None
            if data is None
            else NewData(
                quiet_seconds=data["quietSeconds"],
                longest_seconds=data["longestSeconds"],
                minimum_objects=data["minimumObjects"],
            ),
            drift=found["drift"],
            daily_runs=found["dailyRuns"],
            monthly_runs=found["monthlyRuns"],
            instances=tuple(found["instances"]),
        )

    def trains_on(self, bucket: str, key: str) -> bool:
        """Whether an object is data of this model. What its jobs write is not: that lies elsewhere."""
        return bucket == self.bucket and key.startswith(self.prefixes) and not key.endswith("/")


def identity(*parts: str) -> str:
    """Sixteen hexadecimal digits that stand for `parts`."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[: 2 * ID_BYTES]


def object_identity(bucket: str, key: str, version: str) -> str:
    """Id of the fact that a version of an object is there, whoever says so."""
    return identity("object", bucket, key, version)
