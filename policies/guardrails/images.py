"""References to container images, by the grammar of the distribution project.

https://github.com/distribution/reference
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Image:
    """An image as a registry knows it."""

    name: str
    """Registry and repository; what names no registry is on docker.io, without a folder in `library`."""
    tag: str
    """Empty when there is none, which registries read as `latest`."""
    digest: str
    """Empty when there is none, or when it is no digest."""

    @property
    def moving(self) -> bool:
        """Whether tomorrow's image may be another one, by its name alone."""
        return not self.digest and self.tag in {"", "latest"}

    def within(self, patterns: tuple[str, ...]) -> bool:
        """Whether a pattern covers the name; one without wildcards also covers what lies below it."""
        return any(fnmatchcase(self.name, each) or self.name.startswith(f"{each.rstrip('/')}/") for each in patterns)


def image(reference: str) -> Image:
    """Read a reference such as `registry:5000/team/app:1.2@sha256:…`."""
    rest, _, digest = reference.partition("@")
    head, slash, last = rest.rpartition("/")
    last, _, tag = last.partition(":")
    name = f"{head}{slash}{last}"
    first = name.partition("/")[0]
    if "/" not in name:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}"
    return Image(name, tag, digest if _DIGEST.fullmatch(digest) else "")
