"""The SageMaker training container contract in a scratch folder instead of `/opt/ml`.

Source: Amazon SageMaker Developer Guide, "How Amazon SageMaker Runs Your Training Image", "… Provides Training Information" and
"… Processes Training Output". `SAGEMAKER_BASE_DIR` (the variable of SageMaker's training toolkit) moves the base folder.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sandbox.loop.files import object_path, pack, write_json
from sandbox.loop.processes import clean_environment, leash_command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker.type_defs import ChannelTypeDef, CreateTrainingJobRequestTypeDef

HOST = "algo-1"
FAILURE_LIMIT = 1024
"""Characters of the failure file that SageMaker keeps."""


class ChannelError(Exception):
    """A channel cannot be provided; the message is for whoever sent the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelImage:
    """What stands for the container image where there are no containers."""

    python: Path
    """Interpreter of the image's virtual environment."""
    source: Path
    """Folder that holds the package `scoring`."""

    def command(self, *arguments: str) -> list[str]:
        """Command line of the image's entry point; the leash in front of it keeps its working directory."""
        return [str(self.python), "-m", "scoring", *arguments]

    def environment(self, home: Path, extra: Mapping[str, str]) -> dict[str, str]:
        """The environment inside the image: its source, and nothing of this machine."""
        source = {"PYTHONPATH": str(self.source), "PYTHONDONTWRITEBYTECODE": "1"}
        return clean_environment(home, source | dict(extra))


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` address."""
    parts = urlsplit(uri)
    return parts.netloc, parts.path.removeprefix("/")


@dataclass(frozen=True, slots=True)
class Container:
    """One run of the image for one job, below `base`."""

    base: Path

    @property
    def model(self) -> Path:
        """What becomes `model.tar.gz`."""
        return self.base / "model"

    @property
    def output_data(self) -> Path:
        """What becomes `output.tar.gz`."""
        return self.base / "output/data"

    @property
    def checkpoints(self) -> Path:
        """What is kept in S3 between the attempts of a spot job."""
        return self.base / "checkpoints"

    def prepare(self, request: CreateTrainingJobRequestTypeDef) -> None:
        """Lay out the folders and the configuration files of a job."""
        shutil.rmtree(self.base, ignore_errors=True)
        for folder in (self.base / "input/data", self.base / "input/config", self.model, self.output_data, self.checkpoints):
            folder.mkdir(parents=True)
        config = self.base / "input/config"
        resources = request["ResourceConfig"]
        group = {
            "instance_group_name": "homogeneousCluster",
            "instance_type": resources.get("InstanceType"),
            "hosts": [HOST],
        }
        write_json(config / "hyperparameters.json", request.get("HyperParameters", {}))
        channels = request.get("InputDataConfig", [])
        write_json(config / "inputdataconfig.json", {item["ChannelName"]: _channel_settings(item) for item in channels})
        write_json(
            config / "resourceconfig.json",
            {
                "current_host": HOST,
                "current_instance_type": resources.get("InstanceType"),
                "current_group_name": "homogeneousCluster",
                "hosts": [HOST],
                "instance_groups": [group],
                "network_interface_name": "lo",
            },
        )

    def download(self, s3: S3Client, channel: ChannelTypeDef) -> int:
        """Copy the objects of a channel (File mode, S3Prefix) to where the container reads them; how many there were.

        Raises:
            ChannelError: No object has the prefix, or the channel asks for what is not provided here.
        """
        source = channel["DataSource"].get("S3DataSource")
        name = channel["ChannelName"]
        if source is None or source["S3DataType"] != "S3Prefix" or channel.get("InputMode", "File") != "File":
            raise ChannelError(f"channel {name!r}: this environment provides S3DataType S3Prefix in File mode only")
        try:
            count = _copy_prefix(s3, source["S3Uri"], self.base / "input/data" / name)
        except s3.exceptions.NoSuchBucket:
            raise ChannelError(f"channel {name!r}: the bucket of {source['S3Uri']} does not exist") from None
        if count == 0:
            raise ChannelError(f"channel {name!r}: no S3 objects found under {source['S3Uri']}")
        return count

    def restore_checkpoints(self, s3: S3Client, uri: str) -> int:
        """Bring back what earlier attempts kept under `uri`; how many files."""
        return _copy_prefix(s3, f"{uri}/", self.checkpoints)

    def start(self, image: ModelImage, extra: Mapping[str, str], record: Path) -> subprocess.Popen[str]:
        """Start `train`. The process is recorded at `record` and dies with the calling thread's process."""
        variables = {"SAGEMAKER_BASE_DIR": str(self.base), **extra}
        return subprocess.Popen(  # noqa: S603 - our own interpreter and words, no shell
            [*leash_command("child", record), *image.command("train")],
            cwd=self.base,
            env=image.environment(self.base / "home", variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def failure(self) -> str:
        """What the container wrote to `output/failure`, cut as SageMaker cuts it; empty if nothing."""
        try:
            return (self.base / "output/failure").read_text("utf-8", "replace").strip()[:FAILURE_LIMIT]
        except OSError:
            return ""

    def archive(self, folder: Path, name: str) -> Path | None:
        """Pack a folder as SageMaker does; None when it is empty."""
        if not any(folder.iterdir()):
            return None
        archive = self.base / name
        pack(folder, archive)
        return archive


def _channel_settings(channel: ChannelTypeDef) -> dict[str, str]:
    settings = {
        "TrainingInputMode": channel.get("InputMode", "File"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        "S3DistributionType": "FullyReplicated",
    }
    content_type = channel.get("ContentType")
    return settings | {"ContentType": content_type} if content_type else settings


def _copy_prefix(s3: S3Client, uri: str, folder: Path) -> int:
    """Copy the objects under a prefix; below the folder they keep what their keys have after the prefix's last slash."""
    bucket, prefix = split_uri(uri)
    base = prefix.rpartition("/")[0]
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            key = item.get("Key", "")
            if key.endswith("/"):
                continue
            path = object_path(folder, key.removeprefix(base).removeprefix("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(s3.get_object(Bucket=bucket, Key=key)["Body"], file, 1 << 20)
            count += 1
    return count


def request_from(body: bytes) -> CreateTrainingJobRequestTypeDef:
    """The request that a client sent; botocore has validated its shape before it was sent."""
    return json.loads(body)
