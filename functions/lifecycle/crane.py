"""Images without a container engine: copies and changes them in their registries, by crane.

Source: github.com/google/go-containerregistry, `cmd/crane/doc`.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.steps import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mypy_boto3_ecr import ECRClient

TIMEOUT_SECONDS = 900.0
"""A model image of several GiB is pushed within it."""
PLATFORM = "linux/amd64"
"""What the model image is built for."""


@dataclass(frozen=True, slots=True)
class Crane:
    """The executable, and the folder with the credentials of registries."""

    executable: Path
    credentials: Path
    """Folder of a Docker client's `config.json`; an empty one for registries that ask for nothing."""

    def digest(self, image: str) -> str:
        """Digest of an image; of the platform's own where it is one of several."""
        return self._run("digest", "--platform", PLATFORM, image).strip()

    def labels(self, image: str) -> dict[str, str]:
        """Labels of an image."""
        config: dict[str, Any] = json.loads(self._run("config", "--platform", PLATFORM, image))
        return dict(config.get("config", {}).get("Labels") or {})

    def copy(self, source: str, target: str) -> str:
        """Copy an image byte by byte; gives the digest that the target has."""
        self._run("copy", source, target)
        return self._run("digest", target).strip()

    def append(self, base: str, layer: Path, *, env: Mapping[str, str], labels: Mapping[str, str]) -> str:
        """Push `base` with one more layer to its repository, without a tag; the same input gives the same digest."""
        options = [word for key, value in sorted(env.items()) for word in ("--env", f"{key}={value}")]
        options += [word for key, value in sorted(labels.items()) for word in ("--label", f"{key}={value}")]
        repository = base.rpartition("@")[0]
        return self._run(
            *("mutate", "--platform", PLATFORM, base, "--append", str(layer), "--repo", repository), *options
        ).strip()

    def rebase(self, image: str, old_base: str, new_base: str) -> str:
        """Replace the layers of one base below an image by those of another; pushed beside it, without a tag."""
        return self._run(
            "rebase", "--platform", PLATFORM, image, "--old_base", old_base, "--new_base", new_base
        ).strip()

    def tag(self, image: str, tag: str) -> None:
        """Name an image of a repository."""
        self._run("tag", image, tag)

    def _run(self, *arguments: str) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - our own executable, and no shell that would read the words
                [str(self.executable), *arguments],
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
                env={"DOCKER_CONFIG": str(self.credentials), "HOME": str(self.credentials)},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LifecycleError(f"crane {arguments[0]}: {error}") from error
        if done.returncode:
            raise LifecycleError(f"crane {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


def log_in(folder: Path, registries: Sequence[tuple[str, ECRClient]]) -> None:
    """Write the credentials of private registries where crane looks for them, readable by nobody else.

    Source: ECR API reference, `GetAuthorizationToken`: the token is what Docker keeps as `auth`.
    """
    auths = {
        host: {"auth": client.get_authorization_token()["authorizationData"][0].get("authorizationToken", "")}
        for host, client in registries
    }
    file = folder / "config.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({"auths": auths}), encoding="utf-8")
