"""The model in service as a pipeline's evaluation meets it: where it lies, what it is compared by, what follows.

The image compares and says so in one word (`model_image/scoring/challenge.py`, whose words these are); the definition
only reads that word, so thresholds stand in the arguments of one step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from components.pipeline_words import Step, found

if TYPE_CHECKING:
    from settings.model import GateSpec

FIRST: Final = "first"
BETTER: Final = "better"
EQUAL: Final = "no better"
WORSE: Final = "worse"
"""What the evaluation says of a new model; the first where none is in service yet."""
PLACEHOLDER: Final = "none.json"
"""Object beside the champion: SageMaker refuses a job one of whose inputs holds nothing, and at first there is none."""
_FOUND: Final = ("outcome", "difference", "p_value", "champion_sha256")


def arguments(gate: GateSpec) -> list[str]:
    """What the evaluation is told to compare, and by which terms."""
    spec = gate.champion
    if spec is None:
        return []
    terms = {
        "metric": gate.metric,
        "newest-files": spec.newest_files,
        "minimum-gain": spec.minimum_gain,
        "significance": spec.significance,
        "slice-rows": spec.slice_rows,
        "slice-loss": spec.slice_loss,
        "collapse": spec.collapse,
    }
    words = [word for name, value in terms.items() for word in (f"--{name}", str(value))]
    return [*words, *(word for name in spec.slices for word in ("--slice", name))]


def outcome_is(*outcomes: str) -> Step:
    """Condition that the evaluation said one of these."""
    return {"Type": "In", "QueryValue": found("challenge.outcome"), "Values": list(outcomes)}


def reason() -> Step:
    """Why, in words."""
    return found("challenge.reason")


def lineage() -> Step:
    """What a version tells of the comparison that it was registered after."""
    return {f"champion/{name}": found(f"lineage.{name}") for name in _FOUND}
