"""One step of a build in AWS CodeBuild: `python -m packager plan`, then `layer`, `push`, `gate`, `finish`.

What to do stands in the variables of the project and of the build; `CRANE` names the executable, `WORK` a folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from lifecycle.crane import Crane, log_in
from lifecycle.steps import LifecycleError
from packager.build import STEPS, Build, Order
from packager.registry import Repository

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_ecr import ECRClient


def main(arguments: Sequence[str]) -> int:
    """Run one step; 0 when it is done or there was nothing to do, 1 with a reason otherwise."""
    (step,) = arguments
    order, session = Order.read(os.environ), get_session()

    def client(service: str) -> Any:  # noqa: ANN401 - each use knows which client it asked for
        return session.create_client(cast("Any", service))

    registry, _, repository = order.repository.partition("/")
    with TemporaryDirectory() as credentials:
        ecr: ECRClient = client("ecr")
        log_in(Path(credentials), [(registry, ecr)])
        build = Build(
            order=order,
            work=Path(os.environ["WORK"]),
            sagemaker=client("sagemaker"),
            s3=client("s3"),
            events=client("events"),
            images=Repository(ecr, repository),
            crane=Crane(Path(os.environ["CRANE"]), Path(credentials)),
        )
        try:
            said = STEPS[step](build)
        except (LifecycleError, BotoCoreError, ClientError) as error:
            sys.stderr.write(f"{step}: {error}\n")
            return 1
    sys.stdout.write(f"{step}: {said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
