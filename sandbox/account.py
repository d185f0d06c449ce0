"""An account on loopback with nothing in it, for what asks AWS itself while the engine destroys an environment."""

from __future__ import annotations

import importlib
import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from unittest import mock

from sandbox.loop.loopback import ACCESS_KEY

if TYPE_CHECKING:
    from collections.abc import Generator

_LOOPBACK: Final = "127.0.0.1"


@contextmanager
def reached_by_default(endpoint: str) -> Generator[None]:
    """Lets clients of this process that name no endpoint reach `endpoint`, with no credential of the machine."""
    reached = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": _LOOPBACK,
    }
    with mock.patch.dict(os.environ, reached):
        yield


@contextmanager
def empty_account(account_id: str) -> Generator[str]:
    """Serves the AWS APIs of an account without resources; gives the address."""
    with mock.patch.dict(os.environ, {"MOTO_ACCOUNT_ID": account_id}):
        # Reads the account's number when it is imported.
        module = importlib.import_module("moto.moto_server.threaded_moto_server")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else it tells people each request
    server = module.ThreadedMotoServer(ip_address=_LOOPBACK, port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
