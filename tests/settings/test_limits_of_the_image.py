"""The settings promise what a target takes, and the model image has to take it: neither may import the other."""

from __future__ import annotations

from math import ceil

import pytest

from components.served_models import AT_ONCE_VARIABLE, PAYLOAD_VARIABLE
from sandbox.loop.transform import told
from scoring.rules import FLOAT32_PER_BYTE
from scoring.settings import ServerSettings
from settings.serving_limits import BATCH, BATCH_PAYLOAD, TARGETS, payload_mb_in

MEBIBYTE = 1024 * 1024
SHORTEST_ROW = b"1\n"


def takes(server: ServerSettings, payload_mb: float, at_once: int) -> bool:
    """Whether so many bodies of that size are received, parsed and queued, however short their rows."""
    body = ceil(payload_mb * MEBIBYTE)
    return (
        server.max_body_bytes >= body
        and server.max_rows >= body // len(SHORTEST_ROW)
        and server.max_buffered_bytes >= body * at_once
        and server.max_queued_bytes >= body * at_once * FLOAT32_PER_BYTE
    )


@pytest.mark.parametrize("name", sorted(TARGETS.keys() - {BATCH}))
@pytest.mark.parametrize("at_once", [1, 3])
def test_a_server_that_is_told_the_largest_request_of_a_target_takes_it(name: str, at_once: int) -> None:
    most = TARGETS[name].payload_mb
    assert not takes(ServerSettings.load({}), most, at_once)
    told_by_us = {PAYLOAD_VARIABLE: str(ceil(most)), AT_ONCE_VARIABLE: str(at_once)}
    assert takes(ServerSettings.load(told_by_us), most, at_once)


@pytest.mark.parametrize("payload_mb", [1, 6, BATCH_PAYLOAD.most])
def test_a_server_in_a_batch_transform_takes_the_payloads_of_the_job(payload_mb: int) -> None:
    at_once = BATCH_PAYLOAD.most // payload_mb
    environment = told({"MaxPayloadInMB": payload_mb, "MaxConcurrentTransforms": at_once})
    assert takes(ServerSettings.load(environment), payload_mb, at_once)


def test_what_a_job_leaves_out_is_what_sagemaker_takes() -> None:
    assert takes(ServerSettings.load(told({})), 6, 1)


def test_a_host_takes_less_of_what_comes_at_once() -> None:
    assert payload_mb_in(8192, 4) * 4 <= payload_mb_in(8192) < payload_mb_in(16_384)
    assert payload_mb_in(128) == 0
