"""What events say: an EventBridge event becomes a fact, a tick, or nothing; anything else is refused.

Sources: S3 user guide, "EventBridge event message structure"; CloudWatch user guide, "Alarm events and EventBridge";
EventBridge Scheduler user guide, "Adding context attributes": the scheduled time is the same for each attempt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import fastjsonschema
from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent

from retraining.facts import Fact, Kind, identity, object_identity

if TYPE_CHECKING:
    from retraining.facts import ModelSettings

OURS: Final = "slipway"
"""Source of the platform's own events."""
TICK: Final = "Retraining Tick"
SCHEDULED: Final = "Retraining Scheduled"
REQUESTED: Final = "Retraining Requested"
"""Detail types of the platform's own events."""
DRIFT_ALARM: Final = re.compile(r"-drift-(?:data|prediction|quality)$")
"""How the names of alarms end that are about drift; before it stands `slipway-<environment>-<model>`."""


class RefusedError(Exception):
    """An event that nobody can act on; it goes to the dead-letter queue, where a person finds it."""


@dataclass(frozen=True, slots=True)
class Tick:
    """It is time to look at every model."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that is no reason to retrain."""

    why: str


Meaning = Fact | Tick | Ignored


Check = Callable[[Any], Any]


def _text(pattern: str = "") -> dict[str, Any]:
    return {"type": "string", "minLength": 1, **({"pattern": pattern} if pattern else {})}


def _mapping(required: Mapping[str, Any], **more: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": {**required, **more}}


def _event(required: Mapping[str, Any], **more: dict[str, Any]) -> Check:
    """Check of an event whose detail has these fields; compiled once, where Powertools compiles for each event."""
    envelope = {name: _text() for name in ("id", "source", "detail-type", "time")}
    schema = _mapping({**envelope, "detail": _mapping(required, **more)})
    return cast("Check", cast("Any", fastjsonschema).compile(schema))


_ANY: Final = _event({})
_OBJECT: Final = _event({"bucket": _mapping({"name": _text()}), "object": _mapping({"key": _text()})})
_ALARM: Final = _event({"alarmName": _text(), "state": _mapping({"value": _text(), "timestamp": _text()})})
_SCHEDULE: Final = _event({"model": _text()})
_REQUEST: Final = _event(
    {"model": _text(), "reason": _text(), "requestedBy": _text()},
    imageDigest=_text("^sha256:[0-9a-f]{64}$"),
    token=_text(),
)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads events for the models of one environment."""

    models: Mapping[str, ModelSettings]
    """By name."""
    alarms: str
    """What the names of the environment's alarms begin with: `slipway-<environment>-`."""

    def read(self, event: Mapping[str, Any], now: float) -> Meaning:
        """Say what an event means.

        Raises:
            RefusedError: It is not of a kind that is known, lacks a field, or is about a model that is not there.
        """
        found = EventBridgeEvent(_checked(event, _ANY))
        reader = self._READERS.get((found.source, found.detail_type))
        if reader is None:
            raise RefusedError(f"an event {found.detail_type!r} of {found.source!r} is no reason to retrain")
        return reader(self, event, now)

    def _object(self, event: Mapping[str, Any], now: float) -> Meaning:
        # Not by Powertools' class of this event: it decodes the key, which is not encoded here.
        detail = _checked(event, _OBJECT)["detail"]
        bucket, key, version = detail["bucket"]["name"], detail["object"]["key"], detail["object"].get("version-id", "")
        model = next((each for each in self.models.values() if each.trains_on(bucket, key)), None)
        if model is None:
            return Ignored(f"s3://{bucket}/{key} is no data that a model is trained on")
        if model.new_data is None:
            return Ignored(f"new data alone starts no training of {model.name}")
        return data_fact(model.name, bucket, key, version, now)

    def _alarm(self, event: Mapping[str, Any], now: float) -> Meaning:
        detail = _checked(event, _ALARM)["detail"]
        name, state = detail["alarmName"], detail["state"]
        model = self.models.get(DRIFT_ALARM.sub("", name).removeprefix(self.alarms))
        if model is None or not name.startswith(self.alarms) or not DRIFT_ALARM.search(name):
            raise RefusedError(f"alarm {name} is about the drift of no model of this environment")
        if state["value"] != "ALARM":
            return Ignored(f"alarm {name} is {state['value']}")
        if not model.drift:
            return Ignored(f"drift starts no training of {model.name}")
        id_ = identity("alarm", name, state["timestamp"])
        return Fact(model=model.name, kind=Kind.DRIFT, id=id_, at=now, note=f"{name} since {state['timestamp']}")

    def _schedule(self, event: Mapping[str, Any], now: float) -> Meaning:
        checked = _checked(event, _SCHEDULE)
        model, time = self._known(checked["detail"]["model"]), checked["time"]
        id_ = identity("schedule", model, time)
        return Fact(model=model, kind=Kind.SCHEDULE, id=id_, at=now, note=f"due at {time}")

    def _request(self, event: Mapping[str, Any], now: float) -> Meaning:
        checked = _checked(event, _REQUEST)
        detail = checked["detail"]
        model = self._known(detail["model"])
        told = ("token", model, detail["token"]) if "token" in detail else (checked["id"],)
        return Fact(
            model=model,
            kind=Kind.HAND,
            id=identity("request", *told),
            at=now,
            note=f"{detail['reason']} ({detail['requestedBy']})",
            image=detail.get("imageDigest", ""),
        )

    def _tick(self, _event: Mapping[str, Any], _now: float) -> Meaning:
        return Tick()

    def _known(self, model: str) -> str:
        if model not in self.models:
            raise RefusedError(f"there is no model {model} in this environment")
        return model

    _READERS: ClassVar[dict[tuple[str, str], Callable[[Reader, Mapping[str, Any], float], Meaning]]] = {
        ("aws.s3", "Object Created"): _object,
        ("aws.cloudwatch", "CloudWatch Alarm State Change"): _alarm,
        (OURS, SCHEDULED): _schedule,
        (OURS, REQUESTED): _request,
        (OURS, TICK): _tick,
    }


def data_fact(model: str, bucket: str, key: str, version: str, now: float) -> Fact:
    """The fact that a version of an object is there; the same from an event and from a listing."""
    id_ = object_identity(bucket, key, version)
    return Fact(model=model, kind=Kind.DATA, id=id_, at=now, note=f"s3://{bucket}/{key} {version}".rstrip())


def _checked(event: Mapping[str, Any], check: Check) -> dict[str, Any]:
    try:
        return check(event)
    except fastjsonschema.JsonSchemaValueException as error:
        raise RefusedError(f"not an event that can be read: {error}") from error
