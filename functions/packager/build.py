"""The steps from an approved version to an image that a rollout can take; each reads what the one before it left.

Every step may be repeated, by several builds at once as well: the layer is the same bytes each time, hence the image
has the same digest; a tag never changes, so the first build names the image and the others find it named.
The mark on the version comes last: without it the next build announces the image again.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Self

from lifecycle import steps
from lifecycle.steps import MODEL_DIGEST_PROPERTY, LifecycleError, Package
from packager.champion import IMAGE_PROPERTY, Champion
from packager.layer import bill_of_materials, layer, model_files
from packager.registry import RefusedError, Repository

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

    from packager.calls import Events, Images

SOURCE: Final = "slipway"
"""Source of the event, on the environment's own bus."""
IMAGE_READY: Final = "Model Image Ready"
"""Detail type of the event."""
BASE_LABEL: Final = "org.opencontainers.image.base.name"
"""What an image was built on (OCI Image Specification, "Pre-Defined Annotation Keys"); ours is name@digest."""
REFRESH: Final = "refresh"
"""Reason of a build that looks for a newer base, and not for a newly approved version."""
POLL_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a build is told."""

    model: str
    group: str
    """Model package group."""
    repository: str
    """The model's repository, with its registry."""
    package: str
    """ARN of the version; empty for the newest approved one."""
    reason: str
    """`approval`, of which the registry tells as it does of a rejection, or `refresh`."""
    bucket: str
    """The models bucket."""
    bus: str
    """Event bus of the announcement."""
    base_image: str
    """What a refresh takes as base: a name whose tag moves with security updates."""
    blocked: tuple[str, ...]
    """Severities of findings that keep an image from being named."""
    wait_seconds: float
    """How long scan and signature are waited for, each."""
    signing_profile: str
    """ARN of the profile that ECR signs with; empty where images are not signed."""
    max_age_days: float
    """Age at which an image is too old to put a model on."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """The order in the variables of a CodeBuild project."""
        return cls(
            model=environ["MODEL"],
            group=environ["PACKAGE_GROUP"],
            repository=environ["REPOSITORY"],
            package=environ.get("MODEL_PACKAGE_ARN", ""),
            reason=environ["REASON"],
            bucket=environ["MODELS_BUCKET"],
            bus=environ["EVENT_BUS"],
            base_image=environ["BASE_IMAGE"],
            blocked=tuple(environ["BLOCKED_SEVERITIES"].split()),
            wait_seconds=float(environ["WAIT_SECONDS"]),
            signing_profile=environ.get("SIGNING_PROFILE", ""),
            max_age_days=float(environ["MAX_IMAGE_AGE_DAYS"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done."""

    nothing: str
    """Why there is nothing to do; empty where there is."""
    package: str = ""
    """ARN of the version."""
    image: str = ""
    """The image below the model, by digest."""
    old_base: str = ""
    """The base below that image which is to be replaced; empty to keep it."""
    tag: str = ""
    """How the new image will be called."""
    made: str = ""
    """Digest of the new image, once it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One build of one version."""

    order: Order
    work: Path
    """Folder for what a step leaves to the next."""
    sagemaker: SageMakerClient
    s3: S3Client
    events: Events
    images: Repository
    crane: Images

    def plan(self) -> str:
        """Find out which image has to be made, if any; says so."""
        plan = self._plan()
        self._keep(plan)
        return plan.nothing or f"{plan.tag} of {plan.package} on {plan.image}"

    def _plan(self) -> Plan:
        order, package = self.order, self._package()
        if package is None:
            return Plan(nothing="no version is approved")
        if package.status != "Approved":
            return Plan(nothing=f"{package.arn} is {package.status}: nothing is made of it")
        if MODEL_DIGEST_PROPERTY not in package.properties:
            raise LifecycleError(f"{package.arn} names no digest of its model")
        image, tag, old_base = f"{order.repository}@{package.image_uri.rpartition('@')[2]}", f"v{package.version}", ""
        if order.reason == REFRESH:
            old_base, base = self.crane.labels(image).get(BASE_LABEL, ""), self.crane.digest(order.base_image)
            if not old_base:
                raise LifecycleError(f"{image} does not say what it was built on (label {BASE_LABEL})")
            if self.crane.digest(old_base) == base:
                return Plan(nothing=f"{order.base_image} has not changed")
            tag = f"{tag}-base-{base.removeprefix('sha256:')[:12]}"
        made = self.images.digest(tag) or ""
        if made and package.properties.get(IMAGE_PROPERTY) == made:
            return Plan(nothing=f"{tag} was made and announced before")
        if not made and not old_base:
            self._refuse_old(image)
        return Plan(nothing="", package=package.arn, image=image, old_base=old_base, tag=tag, made=made)

    def _package(self) -> Package | None:
        order = self.order
        if not order.package:
            return steps.find_package(self.sagemaker, order.group, lambda each: each.status == "Approved")
        if order.package.split("/")[-2] != order.group:
            raise LifecycleError(f"{order.package} is not of {order.group}")
        return steps.describe_package(self.sagemaker, order.package)

    def _refuse_old(self, image: str) -> None:
        age = self.images.age_days(image.rpartition("@")[2], time.time())
        if age > self.order.max_age_days:
            raise RefusedError(
                f"{image} was pushed {age:.0f} days ago, allowed are {self.order.max_age_days:.0f}: build the model"
                " image anew and train on it"
            )

    def layer(self) -> str:
        """Make the layer of the registered artefact."""
        plan = self.planned()
        if plan.nothing or plan.made:
            return "nothing to do"
        package = steps.describe_package(self.sagemaker, plan.package)
        content = steps.fetch(self.s3, package.artefact_uri)
        found, digest = hashlib.sha256(content).hexdigest(), package.properties[MODEL_DIGEST_PROPERTY]
        if found != digest:
            raise RefusedError(f"{package.artefact_uri} has SHA-256 {found}; {digest} was registered: it was altered")
        bill = bill_of_materials(self.order.model, package.version, plan.image, package.properties)
        self._archive.write_bytes(layer(model_files(content), bill))
        self._bill.write_text(bill, encoding="utf-8")
        return f"{self._archive.stat().st_size} bytes"

    def push(self) -> str:
        """Push the image with its layer and its bill of materials; no tag names it yet."""
        plan, order = self.planned(), self.order
        if plan.nothing or plan.made:
            return "nothing to do"
        package = steps.describe_package(self.sagemaker, plan.package)
        labels = {
            "slipway.dev/model": order.model,
            "slipway.dev/model-package": plan.package,
            "slipway.dev/model-sha256": package.properties[MODEL_DIGEST_PROPERTY],
        }
        image = plan.image
        if plan.old_base:
            base = f"{order.base_image.partition('@')[0]}@{self.crane.digest(order.base_image)}"
            image = self.crane.rebase(image, plan.old_base, base)
            labels[BASE_LABEL] = base
        env = {"SLIPWAY_MODEL_VERSION": str(package.version)}
        made = self.crane.append(image, self._archive, env=env, labels=labels).rpartition("@")[2]
        self.images.attach(made, self._bill.read_text(encoding="utf-8"))
        self._keep(Plan(**{**asdict(plan), "made": made}))
        return made

    def gate(self) -> str:
        """Wait for scan and signature; an image that does not pass is never named."""
        plan, order = self.planned(), self.order
        if plan.nothing:
            return "nothing to do"
        self.images.wait_for_scan(plan.made, order.blocked, order.wait_seconds, POLL_SECONDS)
        if order.signing_profile:
            self.images.wait_for_signature(plan.made, order.signing_profile, order.wait_seconds, POLL_SECONDS)
        return f"{plan.made} passed"

    def finish(self) -> str:
        """Name the image, announce it, make its model the champion, mark the version; in this order.

        Where no image is made, the champion is seen to: this version may have been rejected, or approved again.
        """
        plan, order = self.planned(), self.order
        if plan.nothing:
            return "nothing to do, but another champion" if self._settle() else "nothing to do"
        self._name(plan)
        package = steps.describe_package(self.sagemaker, plan.package)
        detail = {
            "model": order.model,
            "version": package.version,
            "modelPackageArn": plan.package,
            "image": f"{order.repository}@{plan.made}",
            "tag": plan.tag,
            "modelData": package.artefact_uri,
            "modelSha256": package.properties[MODEL_DIGEST_PROPERTY],
        }
        entry = {"Source": SOURCE, "DetailType": IMAGE_READY, "EventBusName": order.bus, "Detail": json.dumps(detail)}
        answer = self.events.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise LifecycleError(f"the announcement was not taken: {answer['Entries']}")
        self._champion.replace(package)
        self.sagemaker.update_model_package(
            ModelPackageArn=plan.package,
            CustomerMetadataProperties={**package.properties, IMAGE_PROPERTY: plan.made},
        )
        return f"{plan.tag} is {plan.made}"

    def _settle(self) -> bool:
        package = self._package() if self.order.reason != REFRESH else None
        if package is not None and package.status == "Approved":
            return self._champion.replace(package)
        return self._champion.settle()

    @property
    def _champion(self) -> Champion:
        order = self.order
        return Champion(s3=self.s3, sagemaker=self.sagemaker, bucket=order.bucket, model=order.model, group=order.group)

    def _name(self, plan: Plan) -> None:
        """Another build may name the same image at the same time: then the tag is taken, by this very image."""
        try:
            self.crane.tag(f"{self.order.repository}@{plan.made}", plan.tag)
        except LifecycleError:
            if self.images.digest(plan.tag) != plan.made:
                raise

    @property
    def _archive(self) -> Path:
        return self.work / "layer.tar"

    @property
    def _bill(self) -> Path:
        return self.work / "model.cdx.json"

    def _keep(self, plan: Plan) -> None:
        (self.work / "plan.json").write_text(json.dumps(asdict(plan)), encoding="utf-8")

    def planned(self) -> Plan:
        """What the steps so far have left."""
        return Plan(**json.loads((self.work / "plan.json").read_text(encoding="utf-8")))


STEPS: Final = {
    "plan": Build.plan,
    "layer": Build.layer,
    "push": Build.push,
    "gate": Build.gate,
    "finish": Build.finish,
}
"""By the word that the build specification calls them, in their order."""
