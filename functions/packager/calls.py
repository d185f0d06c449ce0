"""What a build asks of others beside AWS's own clients, so that whatever answers the same calls will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Events(Protocol):
    """The one call on EventBridge."""

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - the name in the API
        """Announce something."""
        ...


class Images(Protocol):
    """Changes of images in their registry; `lifecycle.crane.Crane` makes them."""

    def digest(self, image: str) -> str:
        """Digest of an image."""
        ...

    def labels(self, image: str) -> dict[str, str]:
        """Labels of an image."""
        ...

    def append(self, base: str, layer: Path, *, env: Mapping[str, str], labels: Mapping[str, str]) -> str:
        """Push an image with one more layer, without a tag; gives it by digest."""
        ...

    def rebase(self, image: str, old_base: str, new_base: str) -> str:
        """Replace the base of an image; gives the new one by digest."""
        ...

    def tag(self, image: str, tag: str) -> None:
        """Name an image.

        Raises:
            LifecycleError: The tag is taken.
        """
        ...
