"""The table of serving targets as a page: `python -m settings.serving_page [--check]`.

Writes `docs/serving-targets.md`, or with `--check` compares it and ends with exit code 1 if it is not up to date.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from settings.generated import write_or_check
from settings.serving_limits import LIMITS, TARGETS

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
- Batch transform is no resource: `functions/lifecycle/transforms.py` asks for a job, with names and prefixes of the
  output `batchTransforms`.
- SageMaker Model Monitor takes no new customers (guide, “Data capture”): captured requests are kept for drift
  detection of our own.
"""


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
    return "".join((_TOP, *targets, _ABILITIES, *abilities, _LIMITS, *limits, _END))


def main(arguments: Sequence[str]) -> int:
    """Write or compare the page and return the exit code."""
    return write_or_check(PAGE, page(), module="settings.serving_page", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
