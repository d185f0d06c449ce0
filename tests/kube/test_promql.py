"""Prometheus itself evaluates what this project asks it: rollouts' judgement, autoscaling, and objectives.

The series are those of real model servers, of which some are slow, fail or answer wrongly; what happened in the hour
before a rollout, tests write down.
"""

from __future__ import annotations

import json
import operator
import re
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from components import objectives, serving_analysis
from components.metrics_adapter_objects import READINGS, rules
from components.serving_pods import Workload
from release.prometheus import REQUESTS, Metrics, judge_release
from release.record import Record
from release.record import Version as Release
from rollout.judgement import Limits
from rollout.plan import Phase, State
from rollout.verdicts import Verdict
from settings.model import EksServingSpec
from tests.kube.prometheus import MODEL, SCRAPE_SECONDS, SPACE, Pod, Watched, promtool
from tests.support.recorded import stack_section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from components.serving_pods import Object
    from rollout.judgement import Judgement

pytestmark = pytest.mark.kube

LIMITS = Limits(min_requests=500, error_margin=0.01, slower=4, shift=0.1)
"""Wider than in prod: on a busy machine equal versions differ by more."""
OLD = Pod("1")
PODS = {
    "good": Pod("2"),
    "failing": Pod("3", "failing", 2000),
    "slow": Pod("4", "slow", 480),
    "wrong": Pod("5", "wrong"),
    "silent": Pod("6", requests=0),
    "asked by the inference protocol": Pod("7", protocol=True),
    "failing by the inference protocol": Pod("9", "failing", 2000, protocol=True),
    "restarting": Pod("8", restarts=1, of="2"),
}
STOPPED = {
    "good": [],
    "failing": ["errors"],
    "slow": ["p95", "p99"],
    "wrong": ["predictions"],
    "silent": [],
    "asked by the inference protocol": [],
    "failing by the inference protocol": ["errors"],
    "restarting": ["restarts"],
}
"""Which measurements of the AnalysisTemplate fail, by what is wrong."""
WENT_ON = {"good": True, "asked by the inference protocol": True, "restarting": True}
VERDICTS = {
    "good": Verdict.GOOD,
    "failing": Verdict.BAD,
    "slow": Verdict.BAD,
    "wrong": Verdict.BAD,
    "silent": Verdict.OPEN,
    "asked by the inference protocol": Verdict.GOOD,
    "failing by the inference protocol": Verdict.BAD,
    "restarting": Verdict.BAD,
}


HOLDS: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, ">": operator.gt}


def workload() -> Workload:
    """Prod's model in the cluster, under the name of the watched one."""
    section = stack_section("prod", "models")[0]["serving"]["eks"]
    wide = {
        "minRequests": LIMITS.min_requests,
        "errorMargin": LIMITS.error_margin,
        "slower": LIMITS.slower,
        "shift": LIMITS.shift,
    }
    section |= {"namespace": SPACE, "rollout": section["rollout"] | {"judgement": wide}}
    spec = EksServingSpec.model_validate_json(json.dumps(section))
    return Workload(model=MODEL, spec=spec, version=1, image=OLD.image)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    ours = workload()
    assert ours.spec.objectives is not None
    written = objectives.rules(ours, ours.spec.objectives)
    with Watched(tmp_path_factory.mktemp("watched"), [OLD, *PODS.values()], written).running() as running:
        yield running


def judged(watched: Watched, pod: Pod) -> Judgement | None:
    """What the release step thinks of a version that has had all pods since the requests began."""
    versions = [Release(image=each.image, name=each.version) for each in (pod, OLD)]
    state = State(Phase.WATCHING, 0, watched.began)
    record = Record(wanted=versions[0], previous=versions[1], begun=watched.ended, state=state)
    metrics = Metrics(ask=watched.prometheus.ask, namespace=SPACE, model=MODEL)
    return judge_release(metrics, LIMITS, lambda: watched.ended, pytest.fail)(record)


@pytest.mark.parametrize("what", PODS)
def test_the_release_step_judges_a_version_by_what_prometheus_says(watched: Watched, what: str) -> None:
    judgement = judged(watched, PODS[what])
    assert judgement is not None
    assert judgement.verdict is VERDICTS[what], [*judgement.findings]
    bad = [finding.test for finding in judgement.findings if finding.verdict is Verdict.BAD]
    assert bad == STOPPED[what], [*judgement.findings]


def measured(watched: Watched, template: Object, pod: Pod) -> dict[str, bool | None]:
    """Whether each metric's condition holds, as Argo Rollouts evaluates it; an answer without a value meets none."""
    found: dict[str, bool | None] = {}
    for metric in template["metrics"]:
        query = metric["provider"]["prometheus"]["query"]
        query = of_versions(query, pod).replace(f":{serving_analysis.LOOK_SECONDS}s]", f":{SCRAPE_SECONDS}s]")
        value, (word, limit) = watched.value(query), bound(metric)
        found[metric["name"]] = value is not None and HOLDS[word](value, limit)
    return found


def of_versions(query: str, pod: Pod) -> str:
    """The query as Argo Rollouts asks it while a version is to take over from the old one."""
    return query.replace("{{args.challenger}}", pod.hash).replace("{{args.champion}}", OLD.hash)


def bound(metric: Object) -> tuple[str, float]:
    """How the answer is compared, and with what."""
    condition = metric.get("failureCondition") or metric["successCondition"]
    found = re.fullmatch(r"len\(result\) > 0 && result\[0\] (>=|<=|>) (-?[\d.]+)", condition)
    assert found is not None, condition
    return found[1], float(found[2])


@pytest.mark.parametrize("what", PODS)
def test_the_analysis_of_argo_rollouts_stops_what_is_bad_and_lets_go_on_what_is_good(
    watched: Watched, what: str
) -> None:
    ours = workload()
    assert ours.spec.rollout is not None
    stops = measured(watched, serving_analysis.stop(ours, ours.spec.rollout, "http://p"), PODS[what])
    goes_on = measured(watched, serving_analysis.go_on(ours, ours.spec.rollout, "http://p"), PODS[what])
    assert [name for name, holds in stops.items() if holds] == STOPPED[what]
    assert all(goes_on.values()) is WENT_ON.get(what, False), goes_on
    if what == "silent":
        assert not any(goes_on.values()), "what nobody has seen has passed nothing"


class Load(NamedTuple):
    """What a version does in each half minute."""

    requests: float
    errors: float = 0.001
    slow: float = 0.001
    """Share of the answers that take more than 10 ms."""
    low: float = 0.9
    """Share of the predictions up to a half."""


BEFORE, BESIDE = 80, 20
"""Half minutes without the new version, and with it."""
HALF_MINUTE = "30s"
USUAL = Load(3000)


def history(pod: Pod, *spans: tuple[int, Load | None]) -> list[dict[str, str]]:
    """Series of a version that does one after the other; None is as long as it is not there."""
    latency, predictions = "slipway_request_duration_seconds", "slipway_prediction"
    counters: dict[tuple[str, str], Callable[[Load], float]] = {
        (REQUESTS, ',route="/invocations",code="200"'): lambda load: load.requests * (1 - load.errors),
        (REQUESTS, ',route="/invocations",code="500"'): lambda load: load.requests * load.errors,
        (f"{latency}_bucket", ',le="0.01"'): lambda load: load.requests * (1 - load.slow),
        (f"{latency}_bucket", ',le="1.0"'): lambda load: load.requests,
        (f"{latency}_bucket", ',le="+Inf"'): lambda load: load.requests,
        (f"{latency}_count", ""): lambda load: load.requests,
        (f"{predictions}_bucket", ',le="0.5"'): lambda load: load.requests * load.low,
        (f"{predictions}_bucket", ',le="+Inf"'): lambda load: load.requests,
        (f"{predictions}_count", ""): lambda load: load.requests,
        ("slipway_model_info", ""): lambda _: 0,
    }
    labels = ",".join(f'{name}="{value}"' for name, value in pod.labels.items())
    written: list[dict[str, str]] = []
    for (name, more), growth in counters.items():
        values, total = list[str](), 0.0
        for count, load in spans:
            step = 0.0 if load is None else growth(load)
            values.append(f"_x{count}" if load is None else f"{total:g}+{step:g}x{count - 1}")
            total += step * count
        written.append({"series": f"{name}{{{labels}{more}}}", "values": " ".join(values)})
    return written


@pytest.mark.parametrize(
    ("before", "new", "stopped"),
    [
        (USUAL._replace(errors=0.05), Load(150, errors=0.02), ["errors"]),
        (USUAL._replace(errors=0.05), Load(150), []),
        (USUAL._replace(slow=0.2), Load(150, slow=0.2), ["p95", "p99"]),
        (USUAL._replace(low=0.5), Load(150), []),
        (USUAL, Load(150, low=0.5), ["predictions"]),
    ],
    ids=["outage-bad", "outage-good", "slow", "other-input-good", "other-input-bad"],
)
def test_what_the_old_version_did_before_there_was_a_new_one_counts_neither_for_nor_against_it(
    tmp_path: Path, before: Load, new: Load, stopped: list[str]
) -> None:
    """Forty minutes of the old version, then ten of both, which the templates' own windows and looks see."""
    ours, pod = workload(), PODS["good"]
    assert ours.spec.rollout is not None
    stop = serving_analysis.stop(ours, ours.spec.rollout, "http://p")
    asked = [metric for metric in stop["metrics"] if metric["name"] != "restarts"]
    holds = {metric["name"]: metric["name"] in stopped for metric in asked}
    wanted = [(metric, holds[metric["name"]]) for metric in asked]
    go_on = serving_analysis.go_on(ours, ours.spec.rollout, "http://p")
    wanted += [(metric, not holds.get(metric["name"], False)) for metric in go_on["metrics"]]
    tests = [
        {
            "expr": f"count(({of_versions(metric['provider']['prometheus']['query'], pod)}) {word} {limit})",
            "eval_time": f"{(BEFORE + BESIDE) // 2}m",
            "exp_samples": [{"labels": "{}", "value": 1}] if met else [],
        }
        for metric, met in wanted
        for word, limit in [bound(metric)]
    ]
    series = history(OLD, (BEFORE, before), (BESIDE, USUAL)) + history(pod, (BEFORE, None), (BESIDE, new))
    case = {"interval": HALF_MINUTE, "input_series": series, "promql_expr_test": tests}
    (tmp_path / "tests.yaml").write_text(json.dumps({"evaluation_interval": HALF_MINUTE, "tests": [case]}))
    code, says = promtool(tmp_path, "test", "rules", "tests.yaml")
    assert code == 0, says


def test_the_adapter_gives_autoscalers_the_requests_of_each_pod(watched: Watched) -> None:
    pods = "|".join(pod.labels["pod"] for pod in (OLD, PODS["silent"]))
    answers: dict[str, dict[str, float]] = {}
    for rule in rules(READINGS * 60):
        series = rule["seriesQuery"].partition("{")[0]
        query = rule["metricsQuery"].replace("<<.Series>>", series).replace("<<.GroupBy>>", "pod")
        query = query.replace("<<.LabelMatchers>>", f'namespace="{SPACE}",pod=~"{pods}"')
        found = watched.prometheus.ask(query, watched.ended)
        assert watched.prometheus.ask(f"count({rule['seriesQuery']})", watched.ended), "discovered"
        answers[rule["name"]["as"]] = {each["metric"]["pod"]: float(each["value"][1]) for each in found}
    rate, waiting = answers["slipway_requests_per_second"], answers["slipway_requests_in_flight"]
    assert rate[OLD.labels["pod"]] > 0
    assert rate[PODS["silent"].labels["pod"]] == 0
    assert rate.keys() == waiting.keys()


def test_recorded_figures_are_those_of_the_servers(watched: Watched) -> None:
    """Of all pods of the model together; the last version's process is read twice."""
    now = time.time()
    of = f'{{namespace="{SPACE}",slipway_dev_model="{MODEL}"}}'
    names = [objectives.REQUESTS, *(f"{objectives.ERRORS}{window}" for window in ("5m", "30m", "1h", "6h"))]
    names += [f"{objectives.DURATION}{word}" for word in ("mean5m", "p95_5m", "p99_5m")]
    figures = {name: watched.prometheus.ask(name + of, now) for name in names}
    values = {name: float(found[0]["value"][1]) for name, found in figures.items()}
    assert all(len(found) == 1 for found in figures.values())
    counts = [pod.requests or PODS["good"].requests for pod in (OLD, *PODS.values()) if pod is not PODS["silent"]]
    failed = sum(pod.requests / 20 for pod in PODS.values() if pod.fault == "failing")
    # An error's series begins with its first reading, which counts for nothing.
    assert 0.2 * failed / sum(counts) < values[f"{objectives.ERRORS}5m"] < 1.5 * failed / sum(counts)
    assert 0 < values[f"{objectives.DURATION}mean5m"] < values[f"{objectives.DURATION}p99_5m"] < 1
    assert values[f"{objectives.DURATION}p95_5m"] <= values[f"{objectives.DURATION}p99_5m"]
    assert values[objectives.REQUESTS] > 0
