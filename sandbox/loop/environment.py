"""What exists in the account on loopback before anyone asks, and what a training request may therefore name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moto.ecr.models import ecr_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends

from sandbox.loop import hosts

if TYPE_CHECKING:
    from sandbox.loop.request import TrainingRequest


class Refusal(Exception):  # noqa: N818 - an answer to a request, not a defect
    """A request that SageMaker would refuse."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """Error code of the API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What exists in the account before anyone asks for anything."""

    account_id: str
    region: str
    partition: str
    role_arns: tuple[str, ...]
    key_arn: str
    """Key of everything that is written."""

    def create(self) -> None:
        """Make the roles and the key in moto's memory."""
        for arn in self.role_arns:
            path, _, name = arn.partition(":role")[2].rpartition("/")
            iam_backends[self.account_id][self.partition].create_role(
                role_name=name,
                assume_role_policy_document=json.dumps({"Version": "2012-10-17", "Statement": []}),
                path=f"{path}/",
                permissions_boundary="",
                description="",
                tags=[],
                max_session_duration="3600",
            )
        keys = kms_backends[self.account_id][self.region]
        key = keys.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "key of the environment", None)
        keys.keys.pop(key.id)
        key.id, key.arn = self.key_arn.rpartition("/")[2], self.key_arn
        keys.keys[key.id] = key

    def check(self, request: TrainingRequest) -> None:
        """Refuse a training job that SageMaker could not run, or whose image nothing stands for here."""
        registry = request.image.partition("/")[0]
        if request.runs_a_script:
            self._check_place(role_arn=request.role_arn, kms_key=request.kms_key)
        elif not registry.startswith(f"{self.account_id}.dkr.ecr."):
            raise Refusal(
                "ValidationException",
                f"{request.image} does not run here: write algorithm: null in this environment, or bring a script",
            )
        else:
            self.check_job(role_arn=request.role_arn, image=request.image, kms_key=request.kms_key)
        check_hosts(request)

    def check_job(self, *, role_arn: str, image: str, kms_key: str) -> None:
        """Refuse a request whose role, image or key does not exist, or that does not encrypt what it writes."""
        self._check_place(role_arn=role_arn, kms_key=kms_key)
        if not self._image_exists(image):
            raise Refusal("ValidationException", f"Could not find image {image} in ECR of {self.account_id}")

    def _check_place(self, *, role_arn: str, kms_key: str) -> None:
        if role_arn not in self.role_arns:
            raise Refusal("ValidationException", f"Could not assume role {role_arn}: it does not exist")
        if not kms_key:
            raise Refusal("ValidationException", "KmsKeyId is missing: what a job writes must be encrypted")
        if not self._key_exists(kms_key):
            raise Refusal("ValidationException", f"KMS key {kms_key} does not exist")

    def _image_exists(self, uri: str) -> bool:
        repository, _, digest = uri.partition("@")
        found = ecr_backends[self.account_id][self.region].repositories.get(repository.partition("/")[2])
        return found is not None and any(image.image_digest == digest for image in found.images)

    def _key_exists(self, key: str) -> bool:
        keys = kms_backends[self.account_id][self.region]
        return keys.alias_exists(keys.get_alias_name(key)) or key.rpartition("/")[2] in keys.keys


def check_one_host(count: int) -> None:
    """Refuse several hosts of a job that is not a training."""
    if count > 1:
        raise Refusal("ResourceLimitExceeded", "a job that is no training has one host here: set InstanceCount to 1")


def check_hosts(request: TrainingRequest) -> None:
    """Refuse several hosts where they would be reached from outside, and data that each of them has a part of."""
    if request.instance_count == 1:
        return
    if not hosts.can_isolate():
        raise Refusal(
            "ResourceLimitExceeded",
            "several hosts need a network namespace (Linux, unshare --net --map-root-user), which this machine does "
            "not make, and their collective would listen on every interface; set InstanceCount to 1",
        )
    if any(channel.settings["S3DistributionType"] != "FullyReplicated" for channel in request.channels):
        raise Refusal("ValidationException", "several hosts have all the data here: set FullyReplicated")
