"""What `make promote` refuses before it asks AWS for anything."""

from __future__ import annotations

import pytest

from operations.promote import RefusedError, check, main, soak_of
from settings.check import load_file
from tests.settings.stacks import stack_file


def test_a_version_travels_along_the_chain_of_the_stack_files() -> None:
    for origin, target in (("dev", "staging"), ("staging", "prod")):
        theirs, ours = check(load_file(stack_file(origin)), load_file(stack_file(target)), "flight-delay")
        assert theirs.name == ours.name == "flight-delay"


@pytest.mark.parametrize(
    ("origin", "target", "model", "said"),
    [
        (
            "dev",
            "prod",
            "flight-delay",
            "prod takes versions from staging, not from dev (Pulumi.prod.yaml, promotesFrom)",
        ),
        (
            "prod",
            "dev",
            "flight-delay",
            "dev takes versions from no environment, not from prod (Pulumi.dev.yaml, promotesFrom)",
        ),
        ("staging", "prod", "churn", "staging has no model churn; there are: flight-delay"),
    ],
)
def test_what_the_stack_files_do_not_say_is_refused_in_one_line(
    origin: str, target: str, model: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--model", model, "--from", origin, "--to", target]) == 2
    assert capsys.readouterr().err == f"{said}\n"


def test_an_origin_that_lets_nobody_read_is_named() -> None:
    origin, target = (load_file(stack_file(stack)) for stack in ("staging", "prod"))
    closed = origin.model_copy(update={"registry": origin.registry.model_copy(update={"promotes_to": None})})
    with pytest.raises(
        RefusedError, match=r"^staging lets no role of prod read \(Pulumi\.staging\.yaml, promotesTo\)$"
    ):
        check(closed, target, "flight-delay")


def test_prod_asks_for_a_day_in_the_cluster_of_staging_and_staging_for_none_in_dev() -> None:
    dev, staging, prod = (load_file(stack_file(stack)) for stack in ("dev", "staging", "prod"))
    soak = soak_of(staging, prod, 5.0, " a fix ")
    assert (soak.where, soak.seconds, soak.now, soak.waived) == ("slipway-staging", 86_400, 5.0, "a fix")
    assert soak_of(dev, staging, 5.0, "").seconds == 0
