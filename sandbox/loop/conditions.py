"""Conditions of a pipeline's condition step.

Source: SageMaker developer guide, "Pipeline definition JSON schema", `BinaryCondition`, `InCondition`, `OrCondition`.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, Final

from sandbox.loop.references import Scope, UnresolvedError, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}


def holds(condition: Mapping[str, Any], scope: Scope) -> bool:
    """Whether a condition holds. What cannot be compared is no answer, so that nothing passes by mistake.

    Raises:
        UnresolvedError: A value is missing, no number, or of another kind than the one that it is compared with.
    """
    kind = condition["Type"]
    if kind == "Or":
        return any(holds(each, scope) for each in condition["Conditions"])
    if kind == "Not":
        return not holds(condition["Expression"], scope)
    if kind == "In":
        return resolve(condition["QueryValue"], scope) in resolve(condition["Values"], scope)
    left, right = (resolve(condition[side], scope) for side in ("LeftValue", "RightValue"))
    numbers = [value for value in (left, right) if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if not all(map(math.isfinite, numbers)) or len(numbers) == 1:
        raise UnresolvedError(f"{left!r} and {right!r} cannot be compared")
    return _COMPARISONS[kind](left, right)
