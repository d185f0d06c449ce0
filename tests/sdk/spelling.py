"""`python -m tests.sdk.spelling`: write how the SDK spells the words of a pipeline, which the unit tests read.

They run without the SDK, so what it says is kept in a file; the tests beside this one hold the file to be current.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sagemaker.core.workflow.conditions import ConditionGreaterThan, ConditionIn
from sagemaker.core.workflow.functions import Join
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.steps import CacheConfig

from sandbox.loop.references import references
from tests.sdk.cases import both_ways
from tests.sdk.jobs import DATA_VERSION, EVALUATION, found, retry_policies
from tests.sdk.offline import cut_off

if TYPE_CHECKING:
    from sagemaker.core.helper.pipeline_variable import PipelineVariable

FILE: Final = Path(__file__).parents[1] / "components" / "sdk_spelling.json"
DISTRIBUTIONS: Final = ("sagemaker-core", "sagemaker-mlops")


def spelling() -> dict[str, Any]:
    """Words by what they are for, and every reference of three whole definitions."""
    auc, outcome = found("binary_classification_metrics.auc.value"), found("challenge.outcome")
    once, search = both_ways("prod"), both_ways("a search")
    card = Join(on="", values=['{"a": "', DATA_VERSION, '", "b": ', found("card.metric_data"), "}"])
    return {
        "made by": {name: version(name) for name in DISTRIBUTIONS},
        "parameter": DATA_VERSION.expr,
        "parameter definition": DATA_VERSION.to_request(),
        "join": _sent(Join(on="/", values=["s3://b", DATA_VERSION, "x"])),
        "text of parts": _sent(card),
        "json get": auc.expr,
        "condition": _sent(ConditionGreaterThan(left=auc, right=0.68).to_request()),
        "in condition": _sent(ConditionIn(value=outcome, in_values=["first", "better"]).to_request()),
        "fail": _sent(FailStep("Refuse", error_message=Join(on=" ", values=["no", auc])).to_request()),
        "property file": EVALUATION.expr,
        "retries": [policy.to_request() for policy in retry_policies(3)],
        "cache": CacheConfig(enable_caching=True, expire_after="P30D").config,
        "references": {
            "one training": _references(once[0][1]),
            "a search": _references(search[0][1]),
            "a look for drift": _references(once[1][1]),
        },
    }


def text() -> str:
    """What the file has to hold."""
    return json.dumps(spelling(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _references(definition: dict[str, Any]) -> list[str]:
    return sorted(set(references(definition)))


def _sent(part: PipelineVariable | dict[str, Any]) -> Any:
    """A word as it stands in a definition: what is left of the SDK's objects in it becomes text as well."""
    return json.loads(json.dumps(part, default=lambda each: each.expr))


if __name__ == "__main__":
    with cut_off():
        FILE.write_text(text(), encoding="utf-8")
