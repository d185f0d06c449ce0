"""`python -m shipping`: takes captures from a folder to a prefix of S3 until it is told to end."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from scoring import container, log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipping.shipper import Bucket, Shipper

CONNECT_SECONDS, READ_SECONDS = 2, 5
"""Time-outs of a call. It is tried once: with attempts inside of calls, the shipper could not end in time."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="shipping", description=__doc__)
    parser.add_argument("--source", required=True, type=Path, help="folder that the server captures to")
    parser.add_argument("--target", required=True, help="s3://<bucket>/<prefix>/")
    parser.add_argument("--last-seconds", type=float, default=10, help="time for the rest after SIGTERM")
    return parser.parse_args(arguments)


def shipper_of(options: argparse.Namespace) -> Shipper:
    """The shipper that a command line describes."""
    # The import takes a second, in which SIGTERM must find its handler.
    from botocore.config import Config  # noqa: PLC0415 # takes a second, see above
    from botocore.session import get_session  # noqa: PLC0415 # as above

    from shipping.shipper import Shipper  # noqa: PLC0415 # as above

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    target: str = options.target
    place = urlsplit(target)
    return Shipper(
        source=options.source,
        s3=cast("Bucket", get_session().create_client("s3", config=config)),
        bucket=place.netloc,
        prefix=place.path.lstrip("/"),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Ship until SIGTERM; 1 when files had to stay."""
    stop = Event()

    def end(_number: int, _frame: object) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    options = parse(arguments)
    log.start(container.log_form())
    return 1 if shipper_of(options).run(stop, options.last_seconds) else 0


if __name__ == "__main__":
    sys.exit(main())
