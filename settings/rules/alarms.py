"""Alarms that somebody hears."""

from collections.abc import Iterator
from typing import Final

from settings.model import Settings
from settings.problems import Finding, repeated
from settings.rules.environment import Rule

MOST_ACTIONS: Final = 5
"""Actions of an alarm for one state (CloudWatch API reference, `PutMetricAlarm`); one is our own topic."""


def protected_environments_are_heard(settings: Settings) -> Iterator[Finding]:
    """What is worth protecting is worth a message when it breaks."""
    spec = settings.alarms
    if settings.environment.protect_data and not (*spec.emails, *spec.hooks, *spec.topics):
        yield Finding(
            path=("alarms", "emails"),
            found="an empty list, as hooks and topics are",
            allowed="somebody who hears of alarms while environment.protectData is true",
            remedy="write the address of the team on call",
        )


def listeners_differ(settings: Settings) -> Iterator[Finding]:
    """Amazon SNS has one subscription per address."""
    spec = settings.alarms
    for field, values in (("emails", spec.emails), ("hooks", spec.hooks), ("topics", spec.topics)):
        for index in repeated(values):
            yield Finding(
                path=("alarms", field, index),
                found=f"{values[index]} again",
                allowed="each once",
                remedy="remove it",
            )


def alarms_take_the_topics(settings: Settings) -> Iterator[Finding]:
    """An alarm tells a bounded number of topics itself."""
    topics, most = settings.alarms.topics, MOST_ACTIONS - 1
    if len(topics) > most:
        yield Finding(
            path=("alarms", "topics"),
            found=f"{len(topics)} topics",
            allowed=f"at most {most}, for an alarm has {MOST_ACTIONS} actions and one is the environment's own topic",
            remedy="subscribe what listens to the others to one of them",
        )


RULES: Final[tuple[Rule, ...]] = (protected_environments_are_heard, listeners_differ, alarms_take_the_topics)
