"""The table of serving targets as a page: `python -m settings.serving_page [--check]`.

Writes `docs/serving-targets.md`, or with `--check` compares it and ends with exit code 1 if it is not up to date.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from settings.generated import write_or_check
from settings.serving_examples import EXAMPLES
from settings.serving_limits import LIMITS, MIB_PER_PAYLOAD_MB, TARGETS

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "serving-targets.md"

_TOP: Final = """\
# Where a model is served

`slipway:models[].serving.target` is the switch. Settings that the target cannot do are refused, with the reason and the
nearest one that can (`settings/rules/serving_sagemaker.py`). Generated from `settings/serving_limits.py`, whose numbers
were read on 2026-11-22; `python -m settings.serving_page` writes this page again.

| target | choose it for | request at most | time at most | answers | idle costs | source |
| --- | --- | --- | --- | --- | --- | --- |
"""
_ABILITIES: Final = """
| target | cold starts | several models or containers | shifts traffic in steps | in the VPC, isolated | captured |
| --- | --- | --- | --- | --- | --- |
"""
_LIMITS: Final = """
| limit | from | to | unit | source |
| --- | --- | --- | --- | --- |
"""
_END: Final = """
What follows from the table:

- A serverless model is outside the VPC and can reach the internet: SageMaker refuses it with a VPC or with network
  isolation. `outsideVpc: true` says that this is known. Where `environment.protectData` is true (staging and prod) the
  settings refuse the target, and the policy `sagemaker-in-vpc-isolated` what would come of it; `asynchronous` with
  `minInstances: 0` costs nothing while idle, too.
- All traffic at once, or no alarm that takes a version back, is refused by the policy `endpoint-rollback` where it is
  mandatory (everywhere but in dev). SageMaker shifts no traffic of serverless endpoints in steps.
- An endpoint that has instances cannot become serverless, and one with autoscaling cannot change its instance type.
  Each has a name of its own, so a switch creates the new endpoint before the old one goes; callers read the name from
  the output `endpointNames`.
- A model server is told the largest request of a model (`requests.largestMb`, for an asynchronous endpoint with its
  `concurrency`), and SageMaker tells it the `payloadMb` of a batch; it then takes that much with any number of rows.
  Without `requests` an endpoint takes 6 MB and 10,000 rows. A request can take {mib} times its size in memory, if its
  rows are a digit each: what the instances of a batch or of an asynchronous endpoint cannot hold at once is refused,
  with the nearest size and type that can.
- Batch transform is no resource: jobs are asked for, with names and prefixes of the output `batchTransforms`
  (`functions/lifecycle/transforms.py`), from here by `make transform`, below.
- SageMaker Model Monitor takes no new customers (guide, “Data capture”): captured requests are kept for drift
  detection of our own.

## What to write

One of these takes the place of `serving` in [the entry](models.md). Sections of several targets may stand there at
once: then `target` is the only line of `serving` that changes, and what is only described makes nothing. Beside it,
`models[].drift` is null and `retraining.drift` false for every target but `eks` and `real-time`, whose requests are
captured.

{examples}
## The next version, and the one before

An endpoint, or the role that runs batches, is there once `approved` of the model is filled, as [the entry](models.md)
has it; version, digest and artefact are those that were announced. `make release` and `make rollback` change pods, and
refuse an endpoint. Here a later version is an edit of `approved` and a deployment, and so is the way back, with what
stood there before, all of it (`make up` in `local`):

```console
$ $EDITOR Pulumi.prod.yaml     # models[].approved: version, imageDigest, modelData
$ make preview STACK=prod
$ pulumi up --stack prod --policy-pack policies
$ aws sagemaker describe-endpoint --endpoint-name ENDPOINT --query '[EndpointStatus, EndpointConfigName, FailureReason]'
```

The endpoint keeps its name: traffic moves to the other version as `rollout` says, forwards and back alike, and an alarm
of the endpoint moves it back meanwhile; the old one stays in service. A serverless endpoint moves at once; a batch
takes the version that is approved when it starts.

The last command tells which configuration is in service; that `pulumi up` ends with an error after an alarm is not
verified, it needs an account. The stack file still names the version that failed then: write the one before, so that
the next deployment does not try it again. The registry hears nothing of a way back: [reject the version that
went](registry.md#approving-a-version), so that nothing promotes it again.

## How each is asked

`ENDPOINT` is the model's name in the output `endpointNames`, `BUCKET` the output `modelsBucket`. The caller needs
`sagemaker:InvokeEndpoint`, or `sagemaker:InvokeEndpointAsync` for a queue; `teams[].namespaces[].invokes` gives it to
pods.

"""
_BATCH: Final = """
A batch is run by `make transform`. In an environment it waits for a job over objects below `MODEL/rows/` and brings
the answers here. The same rows asked of the same version again find the job that ran. Without STACK the version that
`make up` serves answers a file, or the held-out month.

The command goes by the caller's own credentials. The role `slipway-<environment>-<model>-batch` is for functions of
Lambda that start batches, and nobody else can become it: give the caller's role the same rights, its two policies as
below, and `kms:DescribeKey` on the environment's key.

Rows below `MODEL/rows/` are searched when records of a person are exported or erased (`privacy.md`), and are deleted
after `pipeline.keepDays`; served models, and whoever starts their batches, can read rows nowhere else.

```console
$ aws iam get-role-policy --role-name slipway-prod-nightly-batch --policy-name start-batches --query PolicyDocument
$ aws iam get-role-policy --role-name slipway-prod-nightly-batch --policy-name use-key --query PolicyDocument
$ make transform STACK=prod MODEL=nightly IN=s3://BUCKET/nightly/rows/ OUT=answers
$ make transform MODEL=flight-delay IN=rows.csv OUT=answers
```
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One way to ask an endpoint."""

    what: str
    command: str
    """Of the AWS CLI; a line for each."""


ARTEFACT: Final = "ModelApprovalStatus == 'Approved' && InferenceSpecification.Containers[0].ModelDataUrl"
"""Of a version, in JMESPath: where the artefact of an approved one is, and no address for another one."""
CALLS: Final = (
    Call(
        "A real-time endpoint, and a serverless one; the latter may take seconds after idle time",
        "aws sagemaker-runtime invoke-endpoint --endpoint-name ENDPOINT --content-type text/csv --accept text/csv "
        "--body fileb://rows.csv answers.csv",
    ),
    Call(
        "A fleet: the archive lies below the prefix `fleet.prefix`, and its name below it is the model's. **Nothing\n"
        "there waits for an approval:** what somebody copies below the prefix serves at the next request, whatever\n"
        "the registry says of it, and no rollout and no alarm stands before it. No role of the platform may write\n"
        "there; whoever may copies the artefact of an approved version, whose ARN in the registry is `VERSION`. Of\n"
        "another one nothing is copied: its address comes as `False`",
        "DATA=$(aws sagemaker describe-model-package --model-package-name VERSION --output text --query \\\n"
        f'    "{ARTEFACT}")\n'
        'aws s3 cp "$DATA" s3://BUCKET/MODEL/fleet/berlin.tar.gz\n'
        "aws sagemaker-runtime invoke-endpoint --endpoint-name ENDPOINT --target-model berlin.tar.gz "
        "--content-type text/csv --body fileb://rows.csv answers.csv",
    ),
    Call(
        "A row with `mode: direct`, by the name of a container; one with `mode: serial` is asked as if it were one",
        "aws sagemaker-runtime invoke-endpoint --endpoint-name ENDPOINT --target-container-hostname model "
        "--content-type text/csv --body fileb://rows.csv answers.csv",
    ),
    Call(
        "An asynchronous endpoint: it tells the address of an object to come, and a message when it is there",
        "aws s3 cp rows.csv s3://BUCKET/MODEL/rows/1.csv\n"
        "aws sagemaker-runtime invoke-endpoint-async --endpoint-name ENDPOINT --content-type text/csv "
        "--accept text/csv --input-location s3://BUCKET/MODEL/rows/1.csv",
    ),
)
"""Checked against the service models of botocore by `tests/settings/test_serving_limits.py`."""


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def page() -> str:
    """Return the page as Markdown."""
    targets = (
        f"| {name} | {it.choose} | {it.payload_mb:g} MB | {it.seconds} s | {it.answers} | {it.idle} | {it.source} |\n"
        for name, it in TARGETS.items()
    )
    abilities = (
        f"| {name} | {' | '.join(map(_yes, (it.cold_starts, it.several, it.guarded, it.in_network, it.captured)))} |\n"
        for name, it in TARGETS.items()
    )
    limits = (f"| {it.what} | {it.least} | {it.most} | {it.unit} | {it.source} |\n" for it in LIMITS)
    calls = (f"{call.what}:\n\n```console\n{_lines(call.command)}```\n\n" for call in CALLS)
    examples = "".join(f"{each.what}:\n\n```yaml\n{each.text}```\n\n" for each in EXAMPLES)
    end = _END.format(mib=MIB_PER_PAYLOAD_MB, examples=examples.rstrip("\n") + "\n")
    return "".join((_TOP, *targets, _ABILITIES, *abilities, _LIMITS, *limits, end, *calls)).rstrip("\n") + "\n" + _BATCH


def _lines(command: str) -> str:
    return "".join(f"{line}\n" if line.startswith(" ") else f"$ {line}\n" for line in command.splitlines())


def main(arguments: Sequence[str]) -> int:
    """Write or compare the page and return the exit code."""
    return write_or_check(PAGE, page(), module="settings.serving_page", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
