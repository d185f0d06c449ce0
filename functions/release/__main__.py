"""`python -m release roll-out|roll-back|recall|experiment`: what CodeBuild runs, and what a person runs."""

from __future__ import annotations

import argparse
import base64
import ssl
import sys
import time
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from release.api import ModelWorkload, Server, eks_token
from release.experiment import Question, lines
from release.patience import UnreachableError
from release.prometheus import Metrics, Prometheus, judge_release
from release.recall import Registry, looks, recall
from release.record import NotBackError, OutdatedError, ReleaseError, Version, read
from release.registry import report, report_return, require_approval
from release.step import Release
from rollout.judgement import Judgement, Limits
from rollout.plan import WHOLE, Phase, Plan
from rollout.recall import Limits as RecallLimits
from rollout.verdicts import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from botocore.session import Session
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

    from release.record import Record

HOUR_SECONDS: Final = 3600
CONFIG: Final = Config(retries={"mode": "standard", "total_max_attempts": 8})
"""Calls of AWS are repeated by botocore, after growing waits of at most 20 s."""
UNJUDGED = Judgement((Finding("readiness", Verdict.GOOD, "pods are ready; nothing else was to be judged"),))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("roll-out", "roll-back", "recall", "experiment"):
        one = verbs.add_parser(verb)
        one.add_argument("--region", required=True)
        one.add_argument("--cluster", required=True, help="name of the EKS cluster")
        one.add_argument("--namespace", required=True)
        one.add_argument("--model", required=True, help="name of the model, its Deployment and its Rollout")
        one.add_argument("--container", default="server")
    back, recalled, out = (verbs.choices[verb] for verb in ("roll-back", "recall", "roll-out"))
    _ask_what_is_compared(verbs.choices["experiment"])
    for one in (back, recalled, out):
        one.add_argument("--ready-seconds", type=float, default=1200, help="until all pods have to be new")
        one.add_argument("--back-seconds", type=float, default=1200, help="until all have to be old again")
    packages = "ARN of the model's versions up to their number, with the slash"
    back.add_argument("--packages", help=f"{packages}; without it, the registry hears nothing")
    recalled.add_argument("--packages", required=True, help=packages)
    recalled.add_argument("--reports", required=True, help="s3://<bucket>/<prefix> of the drift job's reports")
    recalled.add_argument("--minimum-labels", type=int, required=True, help="below, a report says nothing")
    recalled.add_argument("--looks", type=int, required=True, help="reports in a row that find the version worse")
    recalled.add_argument(
        "--trial-hours", type=float, required=True, help="after its promotion, for how long it may go"
    )
    recalled.add_argument("--window-hours", type=float, required=True, help="time in which one version goes at most")
    out.add_argument("--image", required=True, help="<repository>@sha256:<digest>")
    out.add_argument("--version", required=True, help="number of the model package")
    out.add_argument("--package-arn", help="model package that is told how it went")
    whether = out.add_mutually_exclusive_group()
    whether.add_argument("--newer-only", action="store_true", help="leave a newer version alone")
    whether.add_argument("--again", action="store_true", help="once more if it was taken back, and approved since")
    out.add_argument("--prometheus", help="address of Prometheus; without it, readiness alone decides")
    out.add_argument("--watch-seconds", type=float, default=300, help="shortest time of the judgement")
    out.add_argument("--patience-seconds", type=float, default=1800, help="longest time without a judgement")
    out.add_argument("--min-requests", type=int, default=1000)
    out.add_argument("--error-margin", type=float, default=0.01)
    out.add_argument("--slower", type=float, default=1.5)
    out.add_argument("--shift", type=float, default=0.1)
    return parser.parse_args(arguments)


def _ask_what_is_compared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prometheus", required=True, help="address of Prometheus")
    parser.add_argument("--percent", type=float, required=True, help="share that was to see the new version")
    parser.add_argument("--above", type=float, default=0.5, help="predictions beyond it are counted")
    parser.add_argument("--slower-than", type=float, default=0.1, help="answers that took more seconds are counted")


def server(region: str, cluster: str) -> Server:
    """The API server of an EKS cluster, asked as whoever runs this."""
    session = _session()
    eks = cast("Any", session.create_client("eks", region_name=region))
    found = eks.describe_cluster(name=cluster)["cluster"]
    authority = base64.b64decode(found["certificateAuthority"]["data"]).decode()
    return Server(
        url=found["endpoint"],
        tls=ssl.create_default_context(cadata=authority),
        token=lambda: eks_token(session, region, cluster),
    )


def tell(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def release_of(options: argparse.Namespace, given: Server) -> Release:
    """How a release goes that a command line describes."""
    watched = options.verb == "roll-out" and options.prometheus is not None
    plan = Plan(
        weights=(WHOLE,),
        step_seconds=options.watch_seconds if watched else 0,
        patience_seconds=options.patience_seconds if watched else 0,
        ready_seconds=options.ready_seconds,
    )
    return Release(
        workload=_workload(options, given),
        container=options.container,
        plan=plan,
        back_seconds=options.back_seconds,
        judge=_judge(options) if watched else lambda _: UNJUDGED,
        clock=time.time,
        sleep=time.sleep,
        tell=tell,
    )


def _workload(options: argparse.Namespace, given: Server) -> ModelWorkload:
    return ModelWorkload(server=given, namespace=options.namespace, name=options.model, container=options.container)


def _judge(options: argparse.Namespace) -> Callable[[Record], Judgement | None]:
    limits = Limits(
        min_requests=options.min_requests,
        error_margin=options.error_margin,
        slower=options.slower,
        shift=options.shift,
    )
    prometheus = Prometheus(url=options.prometheus)
    metrics = Metrics(ask=prometheus.ask, namespace=options.namespace, model=options.model)
    return judge_release(metrics, limits, time.time, tell)


def run(options: argparse.Namespace, given: Server) -> Record | None:
    """Do what a command line says on a cluster; None where a recall finds nothing to do.

    Raises:
        ReleaseError: It cannot be done.
    """
    release = release_of(options, given)
    if options.verb == "recall":
        place = urlsplit(cast("str", options.reports))
        found = looks(cast("S3Client", _client(options, "s3")), place.netloc, place.path.lstrip("/"))
        limits = RecallLimits(
            minimum_labels=options.minimum_labels,
            looks=options.looks,
            trial_seconds=options.trial_hours * HOUR_SECONDS,
            window_seconds=options.window_hours * HOUR_SECONDS,
        )
        return recall(release, Registry.at(_sagemaker(options), options.packages, options.cluster), found, limits)
    if options.verb == "roll-back":
        return release.roll_back()
    wanted = Version(image=options.image, name=options.version)
    if options.again and options.package_arn:
        require_approval(_sagemaker(options), options.package_arn)
    return release.roll_out(wanted, newer_only=options.newer_only, again=options.again)


def main(arguments: Sequence[str] | None = None) -> int:
    """Release, take back, or see whether to; 0 when what was asked for serves, 1 otherwise."""
    options = parse(arguments)
    try:
        return _carry_out(options)
    except OutdatedError as error:
        tell(str(error))
        return 0
    except (UnreachableError, BotoCoreError, ClientError) as error:
        tell(f"{error}; what stands on the Deployment stays: start this again, and it goes on from there")
    except ReleaseError as error:
        tell(str(error))
    return 1


def _carry_out(options: argparse.Namespace) -> int:
    not_back, given = "", server(options.region, options.cluster)
    if options.verb == "experiment":
        _compare(options, given)
        return 0
    try:
        ended = run(options, given)
    except NotBackError as error:
        ended, not_back = error.record, str(error)
        tell(not_back)
    if ended is None:
        return 0
    try:
        if options.verb != "roll-out" and options.packages:
            report_return(_sagemaker(options), options.packages, options.cluster, ended, not_back)
        elif options.verb == "roll-out" and options.package_arn:
            report(_sagemaker(options), options.package_arn, options.cluster, ended, not_back)
    except (BotoCoreError, ClientError) as error:
        what = f"{ended.wanted.name} is {ended.state.phase}, and the registry has not heard of it"
        raise ReleaseError(f"{what}: {error}; start this again, which tells it") from error
    well = options.verb != "roll-out" or ended.state.phase is Phase.PROMOTED
    return 0 if well and not not_back else 1


def _compare(options: argparse.Namespace, given: Server) -> None:
    """Say what the A/B test that stands on the Deployment has found so far."""
    seen = read(_workload(options, given).read())
    question = Question(percent=options.percent, above=options.above, slower_than=options.slower_than)
    prometheus = Prometheus(url=options.prometheus)
    metrics = Metrics(ask=prometheus.ask, namespace=options.namespace, model=options.model)
    for line in lines(metrics, seen, question, time.time()):
        tell(line)


def _client(options: argparse.Namespace, service: str) -> object:
    return _session().create_client(service, region_name=options.region)


def _session() -> Session:
    session = botocore.session.get_session()
    session.set_default_client_config(CONFIG)
    return session


def _sagemaker(options: argparse.Namespace) -> SageMakerClient:
    return cast("SageMakerClient", _client(options, "sagemaker"))


if __name__ == "__main__":
    sys.exit(main())
