"""Notebooks: a SageMaker Studio domain in the VPC, for people who look at data before a pipeline does."""

from typing import Annotated, Literal

from pydantic import Field

from settings.model.base import Name, Section

NotebookType = Literal[
    "ml.t3.medium",
    "ml.t3.large",
    "ml.m5.large",
    "ml.m5.xlarge",
    "ml.m5.2xlarge",
    "ml.m5.4xlarge",
    "ml.r5.xlarge",
    "ml.g4dn.xlarge",
    "ml.g5.xlarge",
]
"""Hosts of JupyterLab in a space (Amazon SageMaker pricing, "Studio JupyterLab")."""


class StudioDomainSpec(Section):
    """A domain, its users, and what a notebook of theirs may be."""

    users: Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=60)]
    """User profiles; whoever may open one is decided by IAM (`sagemaker:CreatePresignedDomainUrl`)."""
    instance_types: Annotated[tuple[NotebookType, ...], Field(strict=False, min_length=1)]
    """Hosts that a notebook may run on; the first is the default."""
    volume_gib: Annotated[int, Field(ge=5, le=1024)]
    """Encrypted disk of a space, GiB; also the most that its owner may ask for."""
    idle_minutes: Annotated[int, Field(ge=60, le=10_080)]
    """An idle notebook is shut down after this time, and its owner cannot choose a longer one."""
    internet: bool
    """Whether notebooks reach HTTPS addresses through the NAT gateway; else AWS's services by endpoints alone."""


class StudioSpec(Section):
    """Notebooks in SageMaker Studio."""

    domain: StudioDomainSpec | None
    """The domain; null for none."""
