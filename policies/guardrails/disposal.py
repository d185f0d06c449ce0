"""Environments that are thrown away, where nothing needs protection from deletion."""

from dataclasses import dataclass
from typing import Annotated

from guardrails.resources import Resource


@dataclass(frozen=True, slots=True)
class DisposalFacts:
    """Which resources may be deleted like anything else."""

    disposable: Annotated[
        tuple[str, ...], "Values of the tag Environment whose resources are made to be thrown away."
    ] = ()
    disposable_urns: Annotated[tuple[str, ...], "URNs of components of such environments, which carry no tags."] = ()

    def covers(self, resource: Resource) -> bool:
        """Whether a resource belongs to an environment that is thrown away."""
        return resource.tag("Environment").text() in self.disposable or resource.urn in self.disposable_urns
