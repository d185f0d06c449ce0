"""The SageMaker training container contract in a scratch folder instead of `/opt/ml`.

Source: Amazon SageMaker Developer Guide, "How Amazon SageMaker Runs Your Training Image", "… Provides Training
Information" and "… Processes Training Output". `SAGEMAKER_BASE_DIR` (the variable of SageMaker's training toolkit)
moves the base folder.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.loop import hosts, read_only, script_mode
from sandbox.loop.files import object_path, pack, write_json
from sandbox.loop.processes import clean_environment, leash_command
from sandbox.loop.request import split_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_s3 import S3Client

    from sandbox.loop.request import InputChannel, TrainingRequest

MODES = ("File", "FastFile")
"""Input modes of a channel that are provided here."""

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

    def training(self, request: TrainingRequest) -> list[str]:
        """Command line of a training: the image's own, or what stands for AWS's image where a script trains."""
        if request.runs_a_script:
            return [str(self.python), "-I", str(Path(script_mode.__file__).resolve())]
        return self.command("train")

    def command(self, *arguments: str) -> list[str]:
        """Command line of the image's entry point; the leash in front of it keeps its working directory."""
        return [str(self.python), "-m", "scoring", *arguments]

    def environment(self, home: Path, extra: Mapping[str, str]) -> dict[str, str]:
        """The environment inside the image: its source, and nothing of this machine."""
        source = {"PYTHONPATH": str(self.source), "PYTHONDONTWRITEBYTECODE": "1"}
        return clean_environment(home, source | dict(extra))


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

    def channel(self, name: str) -> Path:
        """Where the files of a channel lie."""
        return self.base / "input/data" / name

    def prepare(self, request: TrainingRequest, host: str = "algo-1") -> None:
        """Lay out the folders and the configuration files of a job, as `host` of it finds them."""
        shutil.rmtree(self.base, ignore_errors=True)
        config = self.base / "input/config"
        for folder in (self.base / "input/data", config, self.model, self.output_data, self.checkpoints):
            folder.mkdir(parents=True)
        write_json(config / "hyperparameters.json", request.hyperparameters)
        write_json(config / "inputdataconfig.json", {channel.name: channel.settings for channel in request.channels})
        write_json(config / "resourceconfig.json", _resources(request, host))

    def download(self, s3: S3Client, channel: InputChannel) -> None:
        """Copy the objects of a channel (S3Prefix) to where the container reads them, in FastFile mode too.

        Raises:
            ChannelError: No object has the prefix, or the channel asks for what is not provided here.
        """
        if channel.data_type != "S3Prefix" or channel.settings["TrainingInputMode"] not in MODES:
            provided = f"only S3DataType S3Prefix in {' or '.join(MODES)} mode is provided here"
            raise ChannelError(f"channel {channel.name!r}: {provided}")
        if channel.streamed and not read_only.possible():
            raise ChannelError(
                f"channel {channel.name!r}: this machine makes no mount namespace; write inputMode: File"
            )
        try:
            count = copy_prefix(s3, channel.s3_uri, self.channel(channel.name))
        except s3.exceptions.NoSuchBucket:
            raise ChannelError(f"channel {channel.name!r}: the bucket of {channel.s3_uri} does not exist") from None
        if count == 0:
            raise ChannelError(f"channel {channel.name!r}: no S3 objects found under {channel.s3_uri}")

    def restore_checkpoints(self, s3: S3Client, uri: str) -> int:
        """Bring back what earlier attempts kept under `uri`; how many files."""
        return copy_prefix(s3, f"{uri}/", self.checkpoints)

    def start(
        self,
        command: list[str],
        image: ModelImage,
        extra: Mapping[str, str],
        record: Path,
        *,
        beside: Sequence[Container],
        streamed: Sequence[str],
    ) -> subprocess.Popen[str]:
        """Start a training. The process is recorded at `record` and dies with the calling thread's process.

        Args:
            command: What is run.
            image: In whose environment.
            extra: Variables of the job.
            record: Where the process is recorded.
            beside: The other hosts of the job; all of them are one process group then.
            streamed: Channels that can only be read.
        """
        variables = {"SAGEMAKER_BASE_DIR": str(self.base), **extra}
        leash, everyone = leash_command("child", record), [self, *beside]
        if beside:  # a changed user namespace forgets who it dies with, so the leash comes after it
            leash, command = [*hosts.ISOLATED, *leash], hosts.command_line([each.base for each in everyone], command)
        leash = [*read_only.before([each.channel(name) for each in everyone for name in streamed]), *leash]
        return subprocess.Popen(  # noqa: S603 - our own interpreter and words, no shell
            [*leash, *command],
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


def _resources(request: TrainingRequest, host: str) -> dict[str, object]:
    all_hosts = hosts.names(request.instance_count)
    group = {
        "instance_group_name": "homogeneousCluster",
        "instance_type": request.instance_type,
        "hosts": all_hosts,
    }
    return {
        "current_host": host,
        "current_instance_type": request.instance_type,
        "current_group_name": "homogeneousCluster",
        "hosts": all_hosts,
        "instance_groups": [group],
        "network_interface_name": "lo",
    }


def copy_prefix(s3: S3Client, uri: str, folder: Path) -> int:
    """Copy the objects under a prefix; they keep the part of their keys that follows its last slash."""
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
