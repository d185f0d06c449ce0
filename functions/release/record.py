"""What is written on a Deployment about its release, and the fields of it that are the release step's own.

The record travels with the image in one server-side apply: whoever reads the Deployment after a kill knows where the
release stands and what was there before. Source: Kubernetes documentation, "Server-Side Apply".
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from rollout.plan import Phase, State

if TYPE_CHECKING:
    from collections.abc import Mapping

MANAGER: Final = "slipway-release"
"""Field manager: owner of the image, of the version's label and of one annotation, and of nothing else."""
RECORD: Final = "slipway.dev/release"
"""Annotation of the Deployment."""
VERSION: Final = "slipway.dev/version"
"""Label of the Deployment and of its pods."""
_DIGEST: Final = re.compile(r"\S+@sha256:[0-9a-f]{64}")

Object = dict[str, Any]


class ReleaseError(Exception):
    """The release cannot go on; the message is for a person."""


class OutdatedError(ReleaseError):
    """A newer version runs already; there is nothing to do."""


class OvertakenError(ReleaseError):
    """The Deployment has changed since it was read; it has to be looked at again."""


class MissingError(ReleaseError):
    """The cluster knows nothing of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What can serve."""

    image: str
    """Image by digest: `<registry>/<repository>@sha256:<64 hex digits>`."""
    name: str
    """Number of the model package, which metrics are divided by."""

    def __post_init__(self) -> None:
        """Refuse a tag: it may name another image tomorrow, and changing what is behind it rolls nothing out."""
        if not _DIGEST.fullmatch(self.image):
            raise ReleaseError(f"{self.image!r} names no image by digest; write <repository>@sha256:<digest>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One release of one Deployment."""

    wanted: Version
    previous: Version | None
    """What served before; None where nothing did."""
    begun: float
    """When the release began, in seconds since the epoch."""
    state: State

    @property
    def serving(self) -> Version:
        """What the Deployment is to run."""
        taken_back = self.state.phase is Phase.ROLLED_BACK and self.previous is not None
        return self.previous if taken_back and self.previous is not None else self.wanted

    def text(self) -> str:
        """As the annotation holds it."""
        return json.dumps(asdict(self), sort_keys=True)


class NotBackError(ReleaseError):
    """A way back has begun and not ended: what was to go may still serve."""

    def __init__(self, record: Record, why: str) -> None:
        """Of a release, and why."""
        super().__init__(f"{record.serving.name} is not back: {why}")
        self.record = record


def read(deployment: Mapping[str, Any]) -> Record | None:
    """The record of the last release; None where there is none, or one that nobody can read."""
    try:
        found = json.loads(deployment["metadata"]["annotations"][RECORD])
        state = found["state"]
        return Record(
            wanted=Version(**found["wanted"]),
            previous=None if found["previous"] is None else Version(**found["previous"]),
            begun=float(found["begun"]),
            state=State(Phase(state["phase"]), state["step"], state["since"], state["reason"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def newer_runs(deployment: Mapping[str, Any], container: str, wanted: Version) -> bool:
    """Whether the Deployment runs a version of a higher number than the wanted one."""
    now = running(deployment, container)
    numbers = [] if now is None else [now.name, wanted.name]
    return bool(numbers) and all(number.isdecimal() for number in numbers) and int(numbers[0]) > int(numbers[1])


def running(deployment: Mapping[str, Any], container: str) -> Version | None:
    """What the Deployment runs; None if not an image by digest.

    Raises:
        ReleaseError: It has no such container.
    """
    template = deployment["spec"]["template"]
    images = [each["image"] for each in template["spec"]["containers"] if each["name"] == container]
    if not images:
        raise ReleaseError(f"{deployment['metadata']['name']} has no container {container!r}")
    if not _DIGEST.fullmatch(images[0]):
        return None
    return Version(image=images[0], name=template["metadata"].get("labels", {}).get(VERSION, ""))


def settled(found: Record | None, serving: Version | None) -> Version | None:
    """What a new release goes back to: never a version whose own release is under way or has ended badly.

    Args:
        found: The record of the last release.
        serving: What the Deployment runs.
    """
    if found is None or serving is None or found.state.phase is Phase.PROMOTED:
        return serving
    return found.previous if serving.image == found.wanted.image else serving


def followers(deployment: Mapping[str, Any], image: str) -> list[str]:
    """Sidecars that run the model's image in some version: they change with it, so that a pod has one image."""
    repository = image.partition("@")[0]
    found = deployment["spec"]["template"]["spec"].get("initContainers", ())
    return [each["name"] for each in found if each["image"].partition("@")[0] == repository]


def document(record: Record, seen: Mapping[str, Any], container: str) -> Object:
    """What is applied: the fields that the release step owns, and no other, to the Deployment as it was seen.

    With its resource version the API server refuses it once the Deployment is another one (Kubernetes API conventions,
    "Concurrency Control and Consistency").

    Args:
        record: The release.
        seen: The Deployment.
        container: The server.
    """
    serving, metadata = record.serving, seen["metadata"]
    label = {VERSION: serving.name}
    beside = [{"name": name, "image": serving.image} for name in followers(seen, serving.image)]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            **{name: metadata[name] for name in ("name", "namespace", "resourceVersion")},
            "labels": label,
            "annotations": {RECORD: record.text()},
        },
        "spec": {
            "template": {
                "metadata": {"labels": label},
                "spec": {
                    **({"initContainers": beside} if beside else {}),
                    "containers": [{"name": container, "image": serving.image}],
                },
            }
        },
    }
