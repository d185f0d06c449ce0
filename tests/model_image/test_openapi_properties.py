"""Requests made from the OpenAPI document, right and wrong ones, against running servers (Schemathesis)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis as untyped
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from scoring import openapi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.loop

schemathesis: Any = untyped  # its types are generic in ones that nothing here could name

EXAMPLES = 8
PATIENT = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)

DECIDED_BY_MODEL = (
    *("/invocations", "/models", "/models/{name}/invoke", "/v2/models/{name}/infer"),
    "/v2/repository/models/{name}/load",
)
"""A body of the right form is refused if the model has other features, the folder no model, the server less room."""


@pytest.fixture(scope="module")
def ports(start: Callable[..., Any], repository: tuple[Path, dict[str, str]]) -> dict[str, int]:
    settings_of_several = {"SLIPWAY_MODELS_DIR": str(repository[0]), "SLIPWAY_MODELS_MEMORY_BYTES": str(10**9)}
    several = start(None, **settings_of_several, SLIPWAY_MODELS_AT_START="one")
    return {openapi.ONE: start().port, openapi.SEVERAL: several.port}


def operations() -> Iterator[Any]:
    for mode in openapi.BOTH:
        for operation in openapi.OPERATIONS:
            if mode in operation.modes:
                yield pytest.param(mode, operation, id=f"{mode} {operation.method} {operation.path}")


@pytest.mark.parametrize(("mode", "operation"), [*operations()])
def test_every_answer_to_a_request_made_from_the_document_is_as_the_document_says(
    ports: dict[str, int], mode: str, operation: openapi.Documented
) -> None:
    url = f"http://127.0.0.1:{ports[mode]}"
    document = schemathesis.openapi.from_url(f"{url}/openapi.json")
    described = document[operation.path][operation.method]
    excluded: Any = (
        [schemathesis.checks.CHECKS.get_one("positive_data_acceptance")] if operation.path in DECIDED_BY_MODEL else []
    )
    name = {"name": "one" if mode == openapi.SEVERAL else "model"} if "{name}" in operation.path else None
    variable = operation.body is not None
    for generation in MODES if variable else MODES[:1]:
        strategy = described.as_strategy(generation, path_parameters=name)

        @given(case=strategy)
        @settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.generate], suppress_health_check=PATIENT)
        def ask(case: Any) -> None:
            case.call_and_validate(base_url=url, excluded_checks=excluded)

        ask()
