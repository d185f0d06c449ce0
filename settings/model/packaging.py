"""Images of approved versions: how they are built, what keeps one back, and when their base is renewed."""

from typing import Annotated, Literal

from pydantic import Field

from settings.model.base import LogRetentionDays, Section
from settings.model.patterns import TAGGED_IMAGE


class PackagingSpec(Section):
    """One build per approved version, and one per renewal of the base."""

    compute_type: Literal["BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE"]
    """Size of a build host of AWS CodeBuild; paid by the minute."""
    timeout_minutes: Annotated[int, Field(ge=10, le=480)]
    """A build is stopped after this time."""
    log_retention_days: LogRetentionDays
    """How long logs of builds are kept."""
    blocked_severities: tuple[Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED"], ...] = Field(
        strict=False
    )
    """An image with a finding of one of these severities is never named; empty lets every image pass."""
    wait_minutes: Annotated[int, Field(ge=1, le=60)]
    """How long the scan, and then the signature, are waited for."""
    max_image_age_days: Annotated[int, Field(ge=1, le=365)]
    """Age of a model image above which no newly approved model is put on it."""
    base_image: Annotated[str, Field(pattern=TAGGED_IMAGE)]
    """Where security updates of the model image's base appear: the tag moves with them."""
    refresh_days: Annotated[int, Field(ge=1, le=90)] | None
    """How often a newer base is looked for; null never looks."""
    signing: bool
    """Whether an image has to be signed by AWS Signer before it is named."""
