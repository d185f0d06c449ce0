"""What `make rollback` hands to the release step."""

from __future__ import annotations

from typing import Any, cast

import pytest

from components.labels import Labels
from operations.pods import RefusedError
from operations.rollback import main, words
from release.__main__ import parse
from release.recall import Registry
from settings.check import load_file
from settings.model import Target
from settings.release_times import pods_minutes
from tests.settings.stacks import stack_file


@pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])
def test_the_release_step_is_told_where_the_pods_are(stack: str) -> None:
    settings = load_file(stack_file(stack))
    options = parse(words(settings, "flight-delay"))
    assert (options.verb, options.model) == ("roll-back", "flight-delay")
    assert (options.cluster, options.region) == (Labels(settings.environment).cluster, settings.environment.region)
    assert options.back_seconds == pods_minutes() * 60, "as long as the build of a release waits"
    assert options.namespace in {space.name for team in settings.teams for space in team.namespaces}


def test_what_truth_says_is_read_where_the_drift_job_leaves_it() -> None:
    options = parse(words(load_file(stack_file("prod")), "flight-delay", judged=True))
    assert options.verb == "recall"
    assert (options.minimum_labels, options.looks, options.trial_hours) == (2000, 2, 240)
    assert options.reports == "s3://slipway-prod-777788889999-us-east-1-models/flight-delay/drift/reports/"
    group = Registry.at(cast("Any", None), options.packages, options.cluster).group
    assert options.packages.endswith(f":model-package/{group}/")
    assert group == Labels(load_file(stack_file("prod")).environment).package_group("flight-delay")


def test_without_a_look_for_drift_nothing_judges() -> None:
    settings = load_file(stack_file("prod"))
    (model,) = settings.models
    without = settings.model_copy(update={"models": (model.model_copy(update={"drift": None}),)})
    with pytest.raises(RefusedError, match="drift: null, so nothing says whether it is worse; leave JUDGED out"):
        words(without, "flight-delay", judged=True)
    assert words(without, "flight-delay")[0] == "roll-back"


def test_an_endpoint_goes_back_another_way() -> None:
    settings = load_file(stack_file("prod"))
    (model,) = settings.models
    assert model.serving is not None
    serving = model.serving.model_copy(update={"target": Target.REAL_TIME, "eks": None})
    served = settings.model_copy(update={"models": (model.model_copy(update={"serving": serving}),)})
    with pytest.raises(
        RefusedError, match=r"by target real-time, not by pods: .*approved of Pulumi.prod.yaml and deploy"
    ):
        words(served, "flight-delay")


def test_local_is_refused_with_what_shows_it_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "flight-delay", "--stack", "local"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("local is on this machine and has no cluster to ask: make rollout shows a version that is ")
    assert said.endswith("; name another environment, such as STACK=prod\n")


def test_a_model_without_pods_is_refused_with_those_that_have_some(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "churn", "--stack", "prod"]) == 2
    assert capsys.readouterr().err == "prod serves no churn by pods; there are: flight-delay\n"
