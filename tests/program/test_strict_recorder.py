"""The recorder refuses what the engine or a reviewer would; without this its other statements mean little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.recorded import record_program

if TYPE_CHECKING:
    from pathlib import Path

PRELUDE = "import pulumi, pulumi_aws as aws\nprovider = aws.Provider('aws', region='us-east-1')\n"
ON_AWS = "opts=pulumi.ResourceOptions(provider=provider)"
BUCKET = f"bucket = aws.s3.Bucket('b', bucket='plain-name', {ON_AWS})\n"


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("aws.get_caller_identity()", "asks for data with aws:index/getCallerIdentity"),
        (BUCKET, "two resources have the URN"),
        (f"aws.glacier.Vault('t', {ON_AWS})", "has no answer for aws:glacier/vault:Vault"),
        (f"aws.s3.Bucket('c', bucket=f'x-{{bucket.arn}}', {ON_AWS})", "an Output was formatted as text"),
        ("aws.s3.Bucket.get('d', 'there')", "reads the existing resource d"),
    ],
)
def test_the_recording_fails_on_what_it_does_not_accept(tmp_path: Path, program: str, complaint: str) -> None:
    file = tmp_path / "program.py"
    file.write_text(PRELUDE + BUCKET + program, encoding="utf-8")
    with pytest.raises(RuntimeError, match=complaint):
        record_program("prod", program=file)


def test_a_resource_without_parent_and_one_without_provider_are_found(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PRELUDE + BUCKET + "aws.s3.Bucket('stray', bucket='stray-name')", encoding="utf-8")
    recorded = record_program("prod", program=file)
    assert [urn.rpartition("::")[2] for urn in recorded.default_provider()] == ["stray"]
    assert sorted(urn.rpartition("::")[2] for urn in recorded.unparented()) == ["b", "stray"]


def test_an_answer_is_unknown_in_a_preview_and_known_in_an_update(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    use = f"aws.s3.BucketPolicy('p', bucket=bucket.arn, policy='plain', {ON_AWS})"
    file.write_text(PRELUDE + BUCKET + use, encoding="utf-8")
    previewed = record_program("prod", program=file, preview=True).one("aws:s3/bucketPolicy:BucketPolicy")
    updated = record_program("prod", program=file).one("aws:s3/bucketPolicy:BucketPolicy")
    assert previewed.known("policy")
    assert not previewed.known("bucket")
    assert updated.inputs["bucket"] == "arn:aws:s3:::plain-name"
