from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.loop import services
from sandbox.loop.processes import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Api

SPY = """
import json, os, sys
seen = {"opened": [], "connected": []}
def spy(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        seen["opened"].append(arguments[0])
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        seen["connected"].append(arguments[1][0])
sys.addaudithook(spy)
endpoint = sys.argv[1]
"""

OURS = """
from sandbox.loop.loopback import Clients
clients = Clients(endpoint, "eu-central-1")
seen["buckets"] = len(clients.s3.list_buckets()["Buckets"])
clients.sagemaker.list_training_jobs()
clients.ecr.describe_repositories()
"""

PLAIN = """
import boto3
try:
    boto3.client("s3", endpoint_url=endpoint, region_name="eu-central-1").list_buckets()
except Exception as error:
    seen["error"] = type(error).__name__
"""


@pytest.fixture
def poisoned(tmp_path: Path) -> dict[str, str]:
    """A machine whose every AWS setting leads somewhere wrong."""
    folder = tmp_path / "home" / ".aws"
    folder.mkdir(parents=True)
    (folder / "config").write_text("[profile poison]\nregion = us-west-1\nendpoint_url = http://192.0.2.1\n")
    (folder / "credentials").write_text("[poison]\naws_access_key_id = poison\naws_secret_access_key = poison\n")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(REPOSITORY),
        "AWS_PROFILE": "missing",
        "AWS_ACCESS_KEY_ID": "poison",
        "AWS_SECRET_ACCESS_KEY": "poison",
        "AWS_ENDPOINT_URL": "http://192.0.2.1",
        "AWS_CA_BUNDLE": str(folder / "no-such-bundle"),
        "AWS_DATA_PATH": str(folder),
        "AWS_MAX_ATTEMPTS": "one",
        "AWS_DEFAULTS_MODE": "auto",
        "HTTP_PROXY": "http://192.0.2.1:1",
        "http_proxy": "http://192.0.2.1:1",
    }


def spy(code: str, api: Api, env: dict[str, str]) -> dict[str, Any]:
    script = SPY + code + "print(json.dumps(seen))"
    command = [sys.executable, "-c", script, services.address(api.port)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_clients_read_no_setting_of_the_machine_and_connect_to_loopback_only(
    api: Api, poisoned: dict[str, str]
) -> None:
    seen = spy(OURS, api, poisoned)

    assert seen["buckets"] == 2
    assert set(seen["connected"]) == {"127.0.0.1"}
    assert not [path for path in seen["opened"] if poisoned["HOME"] in path]


def test_the_same_machine_does_poison_a_plain_client(api: Api, poisoned: dict[str, str]) -> None:
    seen = spy(PLAIN, api, poisoned)

    assert "error" in seen
    assert [path for path in seen["opened"] if poisoned["HOME"] in path]
