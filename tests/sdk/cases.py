"""Settings whose pipelines are made both ways, and the two definitions of each."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from components.drift_definition import drift_definition
from components.labels import Labels
from components.pipeline_definition import pipeline_definition
from components.pipeline_jobs import Surroundings
from tests.sdk import pipelines
from tests.sdk.jobs import Jobs
from tests.sdk.offline import pipeline_session
from tests.settings.stacks import STACKS, changed, decoded, settings_of
from tests.support.optional import SEARCH

if TYPE_CHECKING:
    from settings.model import Settings
    from tests.sdk.pipelines import Definition

AROUND: Final = Surroundings(
    key_arn="arn:aws:kms:us-east-1:777788889999:key/1", subnets=["subnet-1", "subnet-2"], security_group="sg-1"
)
_HYPERBAND: Final = {"strategy": "hyperband", "minimumRounds": 40, "earlyStopping": False, "warmStartFrom": []}
_WARM: Final = {"training.spot": False, "training.maxWaitSeconds": None, "training.keepAliveSeconds": 600}
_DISKS: Final = {"training.instanceType": "ml.g5.xlarge", "training.fallbackInstanceTypes": ["ml.g5.2xlarge"]}
_CLASSES: Final = {"training.hyperparameters.objective": "multi:softprob", "training.hyperparameters.num_class": 3}
CHANGES: Final[dict[str, dict[str, Any]]] = {
    "a search": {"training.tuning": SEARCH},
    "a search by hyperband": {"training.tuning": SEARCH | _HYPERBAND},
    "a search on hosts with local disks": {"training.tuning": SEARCH, **_DISKS},
    "no champion": {"gate.champion": None},
    "no champion and a search": {"gate.champion": None, "training.tuning": SEARCH},
    "other hosts when there is none": {"training.fallbackInstanceTypes": ["ml.m6i.xlarge", "ml.m7i.xlarge"]},
    "warm hosts": _WARM,
    "local disks": _DISKS,
    "libsvm": {"data.format": "libsvm", "data.moving": [], "gate.champion.slices": [], "drift.ignored": []},
    "streamed data": {"training.inputMode": "FastFile"},
    "a search on streamed data": {"training.inputMode": "FastFile", "training.tuning": SEARCH},
    "no cache": {"pipeline.cacheDays": None},
    "one attempt": {"pipeline.attempts": 1},
    "approval by itself": {"pipeline.approval": "automatic"},
    "several classes in Parquet": _CLASSES | {"gate.metric": "macro_f1", "data.format": "parquet"},
}
"""Changes of prod's model, by dotted path."""
CASES: Final = (*STACKS, *CHANGES)


def _settings(case: str) -> Settings:
    if case in STACKS:
        return settings_of(decoded(case))
    return settings_of(changed({f"models.0.{path}": value for path, value in CHANGES[case].items()}))


@cache
def both_ways(case: str) -> list[tuple[Definition, Definition]]:
    """Of each pipeline of each model: what the program makes, and what the SDK sends."""
    settings = _settings(case)
    labels, session = Labels(settings.environment), pipeline_session(settings.environment.region)
    pairs: list[tuple[Definition, Definition]] = []
    for model in settings.models:
        jobs = Jobs(labels, model, AROUND, session)
        ours = json.loads(pipeline_definition(labels, model, AROUND))
        pairs.append((ours, pipelines.model_definition(jobs, ours)))
        if model.drift is not None:
            ours = json.loads(drift_definition(labels, model, model.drift, AROUND))
            pairs.append((ours, pipelines.drift_definition(jobs, ours)))
    return pairs
