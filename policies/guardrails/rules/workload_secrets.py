"""Secrets in places that are not made for them."""

import math
import re
from collections import Counter
from collections.abc import Iterator

from guardrails.facts import NoFacts
from guardrails.pods import WORKLOADS, Pod, in_pods
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation
from guardrails.view import Known, Missing, Unknown, Value

_CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
_RELEASE = "kubernetes:helm.sh/v3:Release"
_NAME = re.compile(
    r"(?i)^(?!existing|.*pull_?secret)"
    r".*(passw(or)?d|passphrase|secret|credential|(api|private|access|signing|encryption)[-_.]?key|token)$"
)
_FORMATS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bgh[pousr]_\w{36}|"
    r"\bxox[baprs]-|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.|\bsk_live_|\bglpat-|://[^/:@\s]+:[^/@\s$<{]+@"
)
_LINE = re.compile(
    r"(?im)^\s*[\w.-]*(passw(or)?d|passphrase|(secret|api|access|private)[-_.]?key)\s*[=:]\s*[\"']?[^\s\"'$<{/]"
)
"""A line of a file that gives a secret a value, rather than the name of a variable or a path."""
_OPAQUE = re.compile(r"[A-Za-z0-9+/_=-]{32,}")
_ADDRESS = re.compile(r"^(/|arn:|https?://|s3://|sha(256|512)[:-]|[0-9a-f]{8}-[0-9a-f]{4}-)")
_MOST_ORDINARY = 4.5
"""Bits per character; words, paths and hexadecimal digests stay below, random base64 of this length lies above."""


def _random(text: str) -> bool:
    """Whether a text looks drawn at random: long, of one piece, of all kinds of characters."""
    if not _OPAQUE.fullmatch(text) or _ADDRESS.match(text):
        return False
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares) > _MOST_ORDINARY


def _judge(name: str, value: Value) -> Iterator[Finding]:
    text = value.text()
    named = _NAME.search(name) is not None
    if isinstance(value, Unknown) and named:
        yield Undetermined(path=value.path)
    elif text is not None and ((named and not _ADDRESS.match(text)) or _FORMATS.search(text) or _random(text)):
        yield Violation(path=value.path, found="what looks like a secret (not shown)", wanted="a reference to a Secret")


def _environment(pod: Pod, _: NoFacts) -> Iterator[Finding]:
    for container in pod.containers:
        for variable in container.value.select("env[*]"):
            yield from _judge(variable.child("name").text() or "", variable.child("value"))


def _walk(name: str, value: Value) -> Iterator[Finding]:
    yield from _judge(name, value)
    variable = value.child("name").text() if value.items() else None
    if variable is not None and not isinstance(value.child("value"), Missing | Unknown):
        yield from _judge(variable, value.child("value"))
    for key, member in sorted(value.items()):
        yield from _walk(key, member)
    if isinstance(value, Known) and isinstance(value.raw, list):
        for member in value.elements():
            yield from _walk("", member)


def _check(resource: Resource, facts: NoFacts) -> Iterator[Finding]:
    if resource.token == _CONFIG_MAP:
        for key, value in resource.get("data").items():
            yield from _judge(key, value)
            if not _NAME.search(key) and _LINE.search(value.text() or ""):
                wanted = "a reference to a Secret"
                yield Violation(path=value.path, found="a line that looks like a secret (not shown)", wanted=wanted)
    elif resource.token == _RELEASE:
        yield from _walk("", resource.get("values"))
    else:
        yield from in_pods(_environment)(resource, facts)


K8S_07 = ResourceRule(
    id="K8S-07",
    name="secrets-not-plain",
    title="No secret stands in an environment, a ConfigMap or the values of a chart",
    tokens=(*WORKLOADS, _CONFIG_MAP, _RELEASE),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:4.4.1", "soc2:CC6.1", "gdpr:32"),
    why="whoever may look at a pod, a ConfigMap or a release may then read the secret",
    fix="keep it in a Secret or in Secrets Manager and refer to it",
    facts=NoFacts,
    check=_check,
    traps=(
        "names that end in _ARN, _NAME, _FILE or _URL are references, as are paths, ARNs, URLs and digests",
        "MAX_TOKENS, TOKENIZERS_PARALLELISM and existingSecret are no secrets",
        "a value is never printed",
    ),
)


def _references(pod: Pod, _: NoFacts) -> Iterator[Finding]:
    for container in pod.containers:
        values = [each.get("valueFrom.secretKeyRef") for each in container.value.select("env[*]")]
        for reference in (*values, *(each.child("secretRef") for each in container.value.select("envFrom[*]"))):
            if isinstance(reference, Unknown):
                yield Undetermined(path=reference.path)
            elif not isinstance(reference, Missing):
                yield Violation(path=reference.path, found="a secret as environment variable", wanted="a mounted file")


K8S_07_FILES = ResourceRule(
    id="K8S-07",
    name="secrets-as-files",
    title="Pods read secrets from files, not from their environment",
    tokens=WORKLOADS,
    severity=Severity.LOW,
    levels=Levels(dev=Level.ADVISORY, prod=Level.ADVISORY),
    frameworks=("cis-eks:4.4.1", "soc2:CC6.1"),
    why="an environment is inherited by every child process and ends in crash reports; it also never rotates",
    fix="mount the Secret as a volume and read the file",
    facts=NoFacts,
    check=in_pods(_references),
    traps=("fieldRef, resourceFieldRef and configMapKeyRef are no secrets",),
)
