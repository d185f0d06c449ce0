"""What `make release` and `make experiment` hand to the release step."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.steps import Package
from operations import experiment, release
from operations.pods import Pods, RefusedError
from packager.champion import IMAGE_PROPERTY
from release.__main__ import parse
from settings.check import load_file
from settings.release_times import pods_minutes, rollout_minutes
from tests.settings.stacks import changed, settings_of, stack_file
from tests.support.targets import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DIGEST = "sha256:" + "7" * 64


def pods(stack: str = "prod") -> Pods:
    return Pods.of(load_file(stack_file(stack)), "flight-delay")


def package(**changes: Any) -> Package:
    found = Package(
        arn=f"{pods().packages}7",
        version=7,
        status="Approved",
        image_uri="",
        artefact_uri="",
        properties={IMAGE_PROPERTY: DIGEST},
        evaluation_uri="",
    )
    return replace(found, **changes)


def test_the_release_step_is_told_image_version_and_how_long_to_wait() -> None:
    options = parse(release.words(pods(), package()))
    assert (options.verb, options.model, options.version) == ("roll-out", "flight-delay", "7")
    assert options.image == f"777788889999.dkr.ecr.us-east-1.amazonaws.com/slipway-prod/flight-delay@{DIGEST}"
    assert options.package_arn == f"{pods().packages}7"
    assert options.ready_seconds == rollout_minutes(pods().spec) * 60
    assert options.back_seconds == pods_minutes() * 60
    assert (options.again, options.newer_only, options.prometheus) == (False, False, None)


def test_what_was_taken_back_goes_out_again_only_where_that_is_said() -> None:
    options = parse(release.words(pods(), package(), prometheus="http://here:9090", again=True))
    assert (options.again, options.prometheus) == (True, "http://here:9090")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "Rejected"}, "version 7 of flight-delay is Rejected. Whoever may approve it does so first: aws "),
        ({"properties": {}}, "no image was made of version 7 of flight-delay"),
    ],
)
def test_a_version_that_cannot_go_out_is_refused_with_what_to_do(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        release.words(pods(), package(**changes))


def test_the_command_asks_the_registry_of_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    given: list[str] = []

    def create_client(*words: object, **named: object) -> str:
        asked.append((*words, *named.values()))
        return "client"

    def describe(_client: object, arn: str) -> Package:
        asked.append((arn,))
        return package()

    def step(words: Sequence[str]) -> int:
        given.extend(words)
        return 0

    monkeypatch.setattr(release, "get_session", lambda: SimpleNamespace(create_client=create_client))
    monkeypatch.setattr(release, "describe_package", describe)
    monkeypatch.setattr(release, "release", step)
    assert release.main(["--model", "flight-delay", "--stack", "prod", "--version", "7", "--again"]) == 0
    assert asked == [("sagemaker", "us-east-1"), (f"{pods().packages}7",)]
    assert given == release.words(pods(), package(), again=True)


COMMANDS = pytest.mark.parametrize(
    ("command", "more"),
    [
        (release.main, ["--version", "1"]),
        (experiment.main, ["--percent", "30", "--prometheus", "http://here"]),
    ],
)


@COMMANDS
def test_a_model_without_pods_is_refused_with_those_that_have_some(
    command: Callable[[Sequence[str]], int], more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["--model", "churn", "--stack", "prod", *more]) == 2
    assert capsys.readouterr().err == "prod serves no churn by pods; there are: flight-delay\n"


@COMMANDS
def test_local_is_refused_with_what_shows_it_there(
    command: Callable[[Sequence[str]], int],
    more: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in (release, experiment):
        monkeypatch.setattr(module, "release", pytest.fail)
    monkeypatch.setattr(release, "get_session", pytest.fail)
    assert command(["--model", "flight-delay", "--stack", "local", *more]) == 2
    shown = "a version that takes the place of another" if command is release.main else "an A/B test"
    said = re.fullmatch(
        rf"local is on this machine and has no cluster to (release to|ask): make rollout (STRATEGY=a-b )?shows {shown} "
        r"under load.*; name another environment, such as STACK=prod\n",
        capsys.readouterr().err,
    )
    assert said is not None


@pytest.mark.parametrize("target", ["asynchronous", "batch"])
def test_pods_that_are_only_described_are_no_pods(target: str) -> None:
    settings = settings_of(changed({"models.0.serving": serving(target)}))
    with pytest.raises(
        RefusedError, match=f"^flight-delay is served by target {target}, not by pods: name the version wanted"
    ):
        Pods.of(settings, "flight-delay")


def test_an_experiment_is_asked_about_where_the_pods_are() -> None:
    spec = pods().spec
    assert spec.rollout is not None
    tried = spec.model_copy(update={"rollout": spec.rollout.model_copy(update={"strategy": "a-b"})})
    words = [*experiment.words(replace(pods(), spec=tried)), "--percent", "30", "--prometheus", "http://here"]
    options = parse(words)
    assert (options.verb, options.namespace, options.model) == ("experiment", pods().spec.namespace, "flight-delay")


def test_what_is_asked_reaches_the_release_step(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    def step(words: Sequence[str]) -> int:
        given.extend(words)
        return 0

    def words(_: Pods) -> list[str]:
        return ["experiment", *pods().place]

    monkeypatch.setattr(experiment, "release", step)
    monkeypatch.setattr(experiment, "words", words)
    said = ["--model", "flight-delay", "--stack", "prod", "--percent", "30", "--prometheus", "http://here"]
    assert experiment.main([*said, "--above", "0.75", "--slower-than", ""]) == 0
    options = parse(given)
    assert (options.percent, options.prometheus) == (30.0, "http://here")
    assert (options.above, options.slower_than) == (0.75, 0.1)


def test_other_rollouts_are_no_experiments() -> None:
    found = pods()
    how = found.spec.rollout.strategy if found.spec.rollout else "rolling"
    with pytest.raises(RefusedError, match=f"prod rolls flight-delay out by {how}, .*rollout.strategy: a-b"):
        experiment.words(found)
    by_deployment = Pods.of(settings_of(changed({"models.0.serving.eks.rollout": None})), "flight-delay")
    with pytest.raises(RefusedError, match="by rolling"):
        experiment.words(by_deployment)
