"""Random histories of a model's images and artefacts, and what of them no lifecycle rule may have removed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tests.support.expiry import Image, expired_images, expired_objects
from tests.support.recorded import record_program

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

MODEL: Final = "flight-delay"
WAIT_DAYS: Final = 45 / 1440
"""Longest that a build waits between pushing an image and naming it."""
SWEEP_DAYS: Final = 1.0
"""Within which ECR carries a policy out."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Lifecycle rules of one environment, as the program makes them."""

    images: str
    """Policy of the model's repository."""
    objects: list[dict[str, Any]]
    """Rules of the models bucket."""


def declared(stack: str) -> Rules:
    """The rules of an environment."""
    program = record_program(stack)
    policies = program.of_type("aws:ecr/lifecyclePolicy:LifecyclePolicy")
    buckets = program.of_type("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
    (policy,) = (each for each in policies if each.inputs["repository"] == f"slipway-{stack}/{MODEL}")
    (models,) = (each for each in buckets if each.inputs["bucket"].endswith("-models"))
    return Rules(policy.inputs["policy"], models.inputs["rules"])


@dataclass(slots=True, kw_only=True)
class Version:
    """A version in the registry."""

    number: int
    trained: str
    """Image that it was trained with, and that SageMaker serves it by; by digest."""
    artefact: str
    named: list[str] = field(default_factory=list[str])
    """Images with the model that were named, the newest last."""
    pushed: str = ""
    """An image that a build has pushed and not named yet."""


Served = tuple[int, str]
"""Version and image."""


@dataclass(slots=True)
class History:
    """What happens over months, chosen by `draw`."""

    draw: random.Random
    rules: Rules
    now: float = 0.0
    images: dict[str, Image] = field(default_factory=dict[str, Image])
    objects: dict[str, float] = field(default_factory=dict[str, float])
    versions: list[Version] = field(default_factory=list[Version])
    trainers: list[str] = field(default_factory=list[str])
    served: list[Served] = field(default_factory=list[Served])
    """In service, and before that; two at most."""
    made: int = 0
    counts: Counter[str] = field(default_factory=Counter[str])
    wrong: str = ""

    def _push(self, *tags: str, index: str = "") -> str:
        self.made += 1
        digest = f"sha256:{self.made:08x}"
        self.images[digest] = Image(digest=digest, pushed=self.now, tags=frozenset(tags), index=index)
        return digest

    def build(self) -> None:
        """A model image arrives with its commit as its tag: one manifest, or a list of them for two architectures."""
        digest = self._push(f"commit-{self.made}")
        if self.draw.random() < 0.4:
            for _ in range(2):
                self._push(index=digest)
        self.trainers.append(digest)

    def train(self) -> None:
        """A version is registered, trained here or promoted from another environment."""
        if not self.trainers:
            self.build()
        number = len(self.versions) + 1
        if self.draw.random() < 0.3:
            trained, place = self._push(f"source-{self.made}"), f"{MODEL}/promoted/{number}/model.tar.gz"
        else:
            trained, place = self.trainers[-1], f"{MODEL}/jobs/{number}/output/model.tar.gz"
        for key in (place, f"{MODEL}/data/{number}/train.csv", f"{MODEL}/checkpoints/{number}/1.ubj"):
            self.objects[key] = self.now
        self.versions.append(Version(number=number, trained=trained, artefact=place))

    def package(self) -> None:
        """A build pushes an image of a version, and names it unless it is refused or killed; later ones go on."""
        if not self.versions:
            return
        version = self.draw.choice(self.versions[-4:])
        if version.trained not in self.images:
            self.wrong = self.wrong or f"image {version.trained} that version {version.number} was trained with is gone"
            return
        if version.pushed not in self.images:
            version.pushed = self._push()
            self._push(index="")  # its bill of materials, which nothing names
        self.live(self.draw.choice((0.0, WAIT_DAYS / 2, WAIT_DAYS)))
        if self.draw.random() < 0.7 and version.pushed in self.images:
            tag = f"v{version.number}" if not version.named else f"v{version.number}-base-{self.made}"
            image = self.images[version.pushed]
            self.images[version.pushed] = replace(image, tags=image.tags | {tag})
            version.named.append(version.pushed)
            version.pushed = ""
            self.objects[f"{MODEL}/champion/model.tar.gz"] = self.now
        self.counts["builds"] += 1

    def release(self) -> None:
        """An image goes into service: mostly the newest one, sometimes any older one by hand."""
        ready = [version for version in self.versions if version.named]
        if not ready:
            return
        version = ready[-1] if self.draw.random() < 0.7 else self.draw.choice(ready)
        image = version.named[-1] if self.draw.random() < 0.8 else self.draw.choice(version.named)
        if [(version.number, image)] != self.served[:1]:
            self.served = [(version.number, image), *self.served[:1]]
            self.counts["releases"] += 1

    def roll_back(self) -> None:
        """What served before serves again."""
        if len(self.served) > 1:
            self.served = self.served[1:]
            self.counts["rollbacks"] += 1

    def live(self, days: float | None = None) -> None:
        """Time passes, and what the rules remove goes, at some moment of each day."""
        left = self.draw.choice((0.1, 1.0, 7.0, 40.0, 100.0)) if days is None else days
        while left > 0:
            step = min(left, SWEEP_DAYS * self.draw.uniform(0.1, 30.0))
            self.now, left = self.now + step, left - step
            self.sweep()

    def sweep(self) -> None:
        """The rules are carried out."""
        for digest in expired_images(self.rules.images, self.images.values(), self.now):
            del self.images[digest]
            self.counts["images expired"] += 1
        for key in expired_objects(self.rules.objects, self.objects, self.now):
            del self.objects[key]
            self.counts["objects expired"] += 1
        self.check()

    def check(self) -> None:
        """Whether what serves, and what served before, could be started again now."""
        for place, (number, image) in zip(("in service", "before it"), self.served, strict=False):
            version = self.versions[number - 1]
            missing = [each for each in (image, version.trained) if each not in self.images]
            missing += [key for key in (version.artefact,) if key not in self.objects]
            if missing and not self.wrong:
                self.wrong = f"day {self.now:.0f}: version {number}, {place}: {', '.join(missing)} expired"

    ACTIONS: ClassVar[dict[Callable[[History], None], int]] = {
        build: 2,
        train: 4,
        package: 6,
        release: 4,
        roll_back: 2,
        live: 6,
    }

    def play(self, actions: int) -> str:
        """So many actions; the first thing that is not as promised, or nothing."""
        for action in self.draw.choices([*self.ACTIONS], [*self.ACTIONS.values()], k=actions):
            action(self)
        self.live(200.0)
        return self.wrong
