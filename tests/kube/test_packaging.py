"""From an approved version to an image: the steps of the build specification against a real image registry.

Nothing here is a container engine: crane writes the layer, and the server runs from the files of the image. Not run:
AWS CodeBuild itself, ECR's scans and signatures, the installation of Go and Python by `runtime-versions`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import pytest
import yaml
from botocore.session import Session
from moto import mock_aws

from lifecycle.crane import Crane
from lifecycle.steps import LifecycleError
from packager import __main__ as packager
from packager.build import BASE_LABEL, IMAGE_PROPERTY
from packager.layer import MODEL_FOLDER
from sandbox.loop.loopback import ACCESS_KEY
from tests.kube.control_plane import programs
from tests.kube.packaging import PROFILE, FakeEcr, crane, push_base, serve_registry
from tests.support.servers import ROOT, SMALL_ROW, serving, write_model
from tools.kube_programs import CRANE_MODULE, PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.kube

REPOSITORY = "slipway-test/m"
GROUP = "slipway-test-m"
SPECIFICATION = yaml.safe_load((CRANE_MODULE / "buildspec.yml").read_text(encoding="utf-8"))
STEPS = [command.removeprefix("python -m packager ") for command in SPECIFICATION["phases"]["build"]["commands"]]


@dataclass
class World:
    """An account with one approved version, and a registry with the image that trained it."""

    folder: Path
    ecr: FakeEcr
    base: str
    model: bytes
    answer: str
    clients: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def register(self, status: str = "Approved", digest: str | None = None) -> str:
        self.clients["s3"].put_object(Bucket="models", Key="m/jobs/j/model.tar.gz", Body=self.model)
        container = {"Image": self.base, "ModelDataUrl": "s3://models/m/jobs/j/model.tar.gz"}
        return self.clients["sagemaker"].create_model_package(
            ModelPackageGroupName=GROUP,
            InferenceSpecification={
                "Containers": [container],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
            ModelApprovalStatus=status,
            CustomerMetadataProperties={"model-sha256": digest or hashlib.sha256(self.model).hexdigest()},
        )["ModelPackageArn"]

    def run(self, package: str, steps: list[str] = STEPS, work: str = "work", **variables: str) -> int:
        """Run steps of a build until one fails."""
        work_folder = self.folder / work
        work_folder.mkdir(exist_ok=True)
        variables = {
            "MODEL": "m",
            "PACKAGE_GROUP": GROUP,
            "REPOSITORY": f"{self.ecr.registry}/{REPOSITORY}",
            "MODEL_PACKAGE_ARN": package,
            "REASON": "approval",
            "MODELS_BUCKET": "models",
            "EVENT_BUS": "slipway-test",
            "BASE_IMAGE": f"{self.ecr.registry}/python:3.11",
            "BLOCKED_SEVERITIES": "CRITICAL HIGH",
            "WAIT_SECONDS": "0",
            "SIGNING_PROFILE": PROFILE,
            "MAX_IMAGE_AGE_DAYS": "90",
            "CRANE": str(programs().path("crane")),
            "WORK": str(work_folder),
            **variables,
        }
        with mock.patch.dict(os.environ, variables):
            return next((code for step in steps if (code := packager.main([step]))), 0)

    def hear(self, params: dict[str, Any], **_: object) -> None:
        """For botocore's event before a request."""
        self.events += params["Entries"]

    def tags(self) -> set[str]:
        return {tag for tag in crane("ls", f"{self.ecr.registry}/{REPOSITORY}").split() if tag.startswith("v")}

    def image(self, tag: str = "v1") -> str:
        return f"{self.ecr.registry}/{REPOSITORY}:{tag}"

    def announced(self) -> list[dict[str, Any]]:
        return [json.loads(entry["Detail"]) for entry in self.events]


def archive(folder: Path) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, file.name)
    return target.getvalue()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def program(registry: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image that trained the model, as far as its own files go."""
    source = ROOT / "model_image" / "scoring"
    files = {f"opt/program/scoring/{file.name}": file.read_bytes() for file in source.glob("*.py")}
    return push_base(registry, REPOSITORY, tmp_path_factory.mktemp("base"), files)


def keep_status(params: dict[str, Any], **_: object) -> None:
    """SageMaker keeps the status that an update does not name; moto would forget it."""
    assert "ModelApprovalStatus" not in params
    params["ModelApprovalStatus"] = "Approved"


def tag_once(self: Crane, image: str, tag: str) -> None:
    """Tags are immutable in ECR, even for the image that they name already."""
    if tag in crane("ls", image.rpartition("@")[0]).split():
        raise LifecycleError("the image tag already exists and cannot be overwritten because the tag is immutable")
    self._run("tag", image, tag)  # pyright: ignore[reportPrivateUsage] - what the replaced method does


@pytest.fixture
def world(registry: str, program: str, tmp_path: Path) -> Iterator[World]:
    for tag in crane("ls", f"{registry}/{REPOSITORY}").split():
        if tag.startswith("v"):
            crane("delete", f"{registry}/{REPOSITORY}:{tag}")
    answer = write_model(tmp_path / "model", 1)
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": ACCESS_KEY, "AWS_DEFAULT_REGION": "us-east-1"}
    session, ecr = Session(), FakeEcr(registry)
    with (
        mock.patch.dict(os.environ, keys),
        mock_aws(),
        mock.patch.object(packager, "get_session", return_value=session),
        mock.patch.object(Crane, "tag", tag_once),
    ):
        session.register("before-call.ecr", cast("Any", ecr.answer))
        clients = {name: cast("Any", session.create_client)(name) for name in ("sagemaker", "s3", "events")}
        clients["s3"].create_bucket(Bucket="models")
        clients["sagemaker"].create_model_package_group(ModelPackageGroupName=GROUP)
        clients["events"].create_event_bus(Name="slipway-test")
        made = World(tmp_path, ecr, program, archive(tmp_path / "model"), answer, clients)
        session.register("provide-client-params.sagemaker.UpdateModelPackage", keep_status)
        session.register("provide-client-params.eventbridge.PutEvents", made.hear)
        yield made


def test_the_specification_runs_these_steps_and_needs_no_container_engine() -> None:
    assert STEPS == ["plan", "layer", "push", "gate", "finish"]
    source = PROGRAMS["crane"]
    (install,) = SPECIFICATION["phases"]["install"]["commands"]
    assert install.startswith("cd packager && CGO_ENABLED=0 go build ")
    assert f"{source.module}/{source.package} " in install
    assert source.pins == CRANE_MODULE
    assert not [word for word in ("docker", "privileged", "sudo") if word in json.dumps(SPECIFICATION)]
    assert all(phase["on-failure"] == "ABORT" for phase in SPECIFICATION["phases"].values())


def test_an_approved_version_becomes_an_image_that_serves_its_model(world: World, tmp_path: Path) -> None:
    package = world.register()
    assert world.run(package) == 0
    assert world.tags() == {"v1"}
    root = tmp_path / "root"
    root.mkdir()
    files = subprocess.run(
        [programs().path("crane"), "export", world.image(), "-"], check=True, capture_output=True, timeout=60
    )
    with tarfile.open(fileobj=io.BytesIO(files.stdout)) as tar:
        tar.extractall(root, filter="data")
    config = json.loads(crane("config", world.image()))["config"]
    assert "SLIPWAY_MODEL_VERSION=1" in config["Env"]
    bill = json.loads((root / "opt/program/model.cdx.json").read_text())
    assert bill["components"][0]["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(world.model).hexdigest()}]
    with serving(root / MODEL_FOLDER, PYTHONPATH=str(root / "opt/program"), SLIPWAY_MODEL_VERSION="1") as server:
        status, _, body = server.request("POST", "/invocations", SMALL_ROW, Content_Type="text/csv")
        assert (status, body.decode().strip()) == (200, world.answer)
        assert json.loads(server.request("GET", "/version")[2])["model_version"] == "1"
    (detail,) = world.announced()
    digest = crane("digest", world.image())
    assert detail["image"] == f"{world.ecr.registry}/{REPOSITORY}@{digest}"
    assert (detail["version"], detail["tag"], detail["modelPackageArn"]) == (1, "v1", package)
    described = world.clients["sagemaker"].describe_model_package(ModelPackageName=package)
    assert described["CustomerMetadataProperties"][IMAGE_PROPERTY] == digest
    (attached,) = [each for each in world.ecr.artefacts.values() if each["subject"]["digest"] == digest]
    assert attached["artifactType"] == "application/vnd.cyclonedx+json"


def test_five_builds_of_one_approval_that_go_step_by_step_together_and_a_later_one_make_one_image(world: World) -> None:
    package, builds = world.register(), [f"work{number}" for number in range(5)]
    codes = [world.run(package, [step], build) for step in STEPS for build in builds]
    assert set(codes) == {0}
    assert world.tags() == {"v1"}
    assert {detail["image"].rpartition("@")[2] for detail in world.announced()} == {crane("digest", world.image())}
    assert len(world.ecr.artefacts) == 1, "the bill of materials is attached once"
    announced = len(world.announced())
    assert world.run(package) == 0
    assert len(world.announced()) == announced, "a build after the end announces nothing"


def test_approvals_that_arrive_in_another_order_make_each_its_own_image(world: World) -> None:
    first, second = world.register(), world.register()
    assert [world.run(package) for package in (second, first)] == [0, 0]
    assert world.tags() == {"v1", "v2"}
    assert [(detail["version"], detail["modelPackageArn"]) for detail in world.announced()] == [(2, second), (1, first)]


def test_the_image_of_a_version_is_the_same_bytes_whenever_it_is_made(world: World) -> None:
    package = world.register()
    made: list[str] = []
    for work in ("first", "second"):
        assert world.run(package, ["plan", "layer", "push"], work) == 0
        made.append(json.loads((world.folder / work / "plan.json").read_text())["made"])
    assert len(set(made)) == 1
    assert made[0].startswith("sha256:")


@pytest.mark.parametrize("status", ["PendingManualApproval", "Rejected"])
def test_nothing_is_made_of_a_version_that_is_not_approved_any_more(world: World, status: str) -> None:
    assert world.run(world.register(status)) == 0
    assert world.tags() == set()
    assert world.announced() == []


REFUSED: dict[str, dict[str, Any]] = {
    "a critical finding": {"scan": {"status": "COMPLETE", "findingSeverityCounts": {"CRITICAL": 1}}},
    "a finding of Inspector": {"scan": {"status": "ACTIVE", "findingSeverityCounts": {"HIGH": 2}}},
    "no scan in time": {"scan": {"status": "IN_PROGRESS"}},
    "an image that cannot be scanned": {"scan": {"status": "UNSUPPORTED_IMAGE"}},
    "no signature in time": {"signature": "IN_PROGRESS"},
    "a failed signature": {"signature": "FAILED"},
}


@pytest.mark.parametrize("trouble", REFUSED)
def test_version_one_serves_on_when_version_two_is_refused(world: World, trouble: str) -> None:
    assert world.run(world.register()) == 0
    before, second = world.announced(), world.register()
    for name, value in REFUSED[trouble].items():
        setattr(world.ecr, name, value)
    assert world.run(second) == 1
    assert world.tags() == {"v1"}
    assert world.announced() == before
    champion = world.clients["s3"].get_object(Bucket="models", Key="m/champion/model.tar.gz")["Body"].read()
    assert champion == world.model
    world.ecr.scan, world.ecr.signature = {"status": "COMPLETE"}, "COMPLETE"
    assert world.run(second) == 0, "what was refused can be tried again"
    assert world.tags() == {"v1", "v2"}


def test_an_altered_artefact_and_one_that_is_no_model_are_refused(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.run(world.register(digest="0" * 64)) == 1
    assert "it was altered" in capsys.readouterr().err
    world.model = b"not an archive"
    assert world.run(world.register()) == 1
    assert "model.tar.gz cannot be unpacked" in capsys.readouterr().err
    assert world.tags() == set()


def test_a_model_is_not_put_on_an_old_image(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.ecr.pushed -= timedelta(days=91)
    assert world.run(world.register()) == 1
    assert "was pushed 91 days ago, allowed are 90" in capsys.readouterr().err


def test_a_build_killed_before_its_mark_announces_again_and_makes_nothing_again(world: World) -> None:
    package = world.register()
    with (
        mock.patch("lifecycle.steps.fetch", side_effect=[world.model, KeyboardInterrupt]),
        pytest.raises(KeyboardInterrupt),
    ):
        world.run(package)
    assert len(world.announced()) == 1
    digest = crane("digest", world.image())
    assert world.run(package) == 0
    assert [detail["image"].rpartition("@")[2] for detail in world.announced()] == [digest, digest]


def test_a_newer_base_goes_below_the_model_once(world: World, tmp_path: Path) -> None:
    registry = world.ecr.registry
    old = push_base(registry, "python", tmp_path, {"usr/lib/libssl.so": b"1"})
    new = push_base(registry, "python", tmp_path, {"usr/lib/libssl.so": b"2"})
    files = tmp_path / "program.tar"
    with tarfile.open(files, "w") as tar:
        tar.add(ROOT / "model_image" / "scoring" / "__init__.py", "opt/program/scoring/__init__.py")
    world.base = crane(
        "mutate", old, "--append", str(files), "--label", f"{BASE_LABEL}={old}", "--repo", f"{registry}/{REPOSITORY}"
    )
    package = world.register()
    crane("tag", old, "3.11")
    assert world.run("", REASON="refresh") == 0
    assert world.tags() == set(), "the base has not changed"
    crane("tag", new, "3.11")
    assert world.run("", REASON="refresh") == 0
    tag = f"v1-base-{new.rpartition(':')[2][:12]}"
    assert world.tags() == {tag}
    exported = subprocess.run(
        [programs().path("crane"), "export", world.image(tag), "-"], check=True, capture_output=True, timeout=60
    )
    with tarfile.open(fileobj=io.BytesIO(exported.stdout)) as tar:
        library = tar.extractfile("usr/lib/libssl.so")
        assert library is not None
        assert library.read() == b"2"
        assert f"{MODEL_FOLDER}/manifest.json" in tar.getnames()
    assert [detail["modelPackageArn"] for detail in world.announced()] == [package]
    assert world.run("", REASON="refresh") == 0
    assert len(world.announced()) == 1
