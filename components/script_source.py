"""The script that trains a model in AWS's image: a folder of this repository as one archive, named by its content."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pulumi

if TYPE_CHECKING:
    from settings.model import ScriptSpec

REPOSITORY: Final = Path(__file__).resolve().parent.parent
ARCHIVE: Final = "sourcedir.tar.gz"
"""Name under which SageMaker's training toolkit looks for it."""
_INSTALLED: Final = ("pyproject.toml", "requirements.txt")
"""What the toolkit would install from an index, which an isolated job does not reach."""
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class ScriptSource:
    """A folder with a script in it."""

    folder: Path
    program: str

    @classmethod
    def of(cls, spec: ScriptSpec) -> ScriptSource:
        """The folder that the settings name.

        Raises:
            pulumi.RunError: The script is not there, or the folder asks for an installation.
        """
        source = cls(REPOSITORY / spec.source, spec.entry_point)
        if not (source.folder / source.program).is_file():
            raise pulumi.RunError(
                f"slipway:models · algorithm.script: there is no {spec.source}/{spec.entry_point} · "
                "write the folder below the root of the repository, and the name of a file in it"
            )
        names = [path.name for path in source._files()]
        if found := [name for name in _INSTALLED if name in names]:
            raise pulumi.RunError(
                f"slipway:models · algorithm.script: {spec.source} holds {', '.join(found)}, and a training "
                "has no network to install from · leave it out, or bring an image of your own with what it needs"
            )
        return source

    @property
    def key(self) -> str:
        """End of the object's key; the same files have the same."""
        total = hashlib.sha256()
        for path in self._files():
            content = path.read_bytes()
            total.update(f"{path.relative_to(self.folder).as_posix()}\0{len(content)}\0".encode())
            total.update(content)
        return f"{total.hexdigest()[:_DIGITS]}/{ARCHIVE}"

    def content(self) -> str:
        """The archive in base64, without owners and times, and not compressed: zlib differs between its versions."""
        packed = io.BytesIO()
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=0, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in self._files():
                member = tarfile.TarInfo(path.relative_to(self.folder).as_posix())
                content = path.read_bytes()
                member.size, member.mode = len(content), 0o644
                tar.addfile(member, io.BytesIO(content))
        return base64.b64encode(packed.getvalue()).decode()

    def _files(self) -> list[Path]:
        files = (path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return sorted(files, key=lambda path: path.relative_to(self.folder).as_posix())
