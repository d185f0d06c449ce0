"""Alarms: each of them is heard by everybody whom the settings name."""

from __future__ import annotations

import json

import pytest

from settings.model import AlarmsSpec
from tests.support.recorded import STACKS, Recorded, record_program, stack_section
from tests.support.targets import all_served

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
ON_CALL = "arn:aws:sns:us-east-1:111122223333:on-call"
TOLD = {
    "emails": ["a@example.com", "b@example.com"],
    "hooks": ["https://alarms.example.com/slipway/v2"],
    "topics": [ON_CALL],
}


def told() -> Recorded:
    """Every alarm that the program makes, in an environment with listeners of every kind."""
    return record_program("prod", overrides=json.dumps({**json.loads(all_served()), "alarms": TOLD}))


def test_every_alarm_tells_the_topic_and_the_topics_of_others_when_it_begins_and_when_it_ends() -> None:
    program = told()
    topic = program.one("aws:sns/topic:Topic", "alarms-topic")
    scaling = {each.urn for each in program.of_type("aws:appautoscaling/policy:Policy")}
    alarms = [
        each for each in program.of_type(ALARM) if not scaling.intersection(each.property_dependencies["alarmActions"])
    ]
    assert {each.name.partition("-")[0] for each in alarms} >= {"inference", "retraining"}
    for alarm in alarms:
        assert alarm.inputs["alarmActions"] == [f"arn:aws:sns:us-east-1:777788889999:{topic.inputs['name']}", ON_CALL]
        assert alarm.inputs["okActions"] == alarm.inputs["alarmActions"]


def test_addresses_subscribe_to_the_topic_and_topics_of_others_are_told_by_the_alarms_alone() -> None:
    found = {(each.inputs["protocol"], each.inputs["endpoint"]) for each in told().of_type(SUBSCRIPTION)}
    assert found == {
        ("email", "a@example.com"),
        ("email", "b@example.com"),
        ("https", "https://alarms.example.com/slipway/v2"),
    }


@pytest.mark.parametrize("stack", STACKS)
def test_somebody_hears_of_the_alarms_of_every_environment_in_aws(stack: str) -> None:
    spec = AlarmsSpec.model_validate_json(json.dumps(stack_section(stack, "alarms")))
    assert bool((*spec.emails, *spec.hooks, *spec.topics)) is (stack != "local")


@pytest.mark.parametrize(
    "hook",
    [
        "http://alarms.example.com/slipway",
        "https://user:word@alarms.example.com/",
        "https://events.example.com/integration/8f3a1c9b2d4e/enqueue",
        "https://hooks.example.com/services?token=abc",
    ],
)
def test_an_address_in_the_clear_or_with_a_key_in_it_is_refused(hook: str) -> None:
    with pytest.raises(ValueError, match="hooks"):
        AlarmsSpec.model_validate({"emails": [], "hooks": [hook], "topics": []})
