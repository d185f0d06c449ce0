"""The job's input channels: which part files they hold, as ``inputdataconfig.json`` and the data folder say."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scoring import document
from scoring.document import Document, suggestion
from scoring.errors import UserError, summarize

if TYPE_CHECKING:
    from pathlib import Path

TRAIN = "train"
VALIDATION = "validation"
TEST = "test"
CHAMPION = "champion"
REQUIRED = (TRAIN, VALIDATION)
DATA = (*REQUIRED, TEST)
KNOWN = (*DATA, CHAMPION)
"""Optional are ``test``, with which the final metrics are of rows that chose nothing, and ``champion``, a model."""

DISTRIBUTION = "S3DistributionType"
SHARDED = "ShardedByS3Key"

CONTENT_TYPE = "ContentType"

INPUT_MODE = "TrainingInputMode"
FAST_FILE = "FastFile"


class Format(enum.Enum):
    """What part files are: the content types that say so, the one for messages first, and the end of the names."""

    CSV = (("text/csv", "csv", "", None), ".csv")
    LIBSVM = (("text/libsvm", "libsvm"), ".libsvm")
    PARQUET = (("application/x-parquet", "parquet"), ".parquet")

    @property
    def content_types(self) -> tuple[str | None, ...]:
        """Values of ``ContentType``."""
        return self.value[0]

    @property
    def suffix(self) -> str:
        """End of the part files' names."""
        return self.value[1]


FORMATS = {content_type: known for known in Format for content_type in known.content_types}

ALLOWED = {
    INPUT_MODE: ("File", FAST_FILE),
    CONTENT_TYPE: tuple(FORMATS),
    "CompressionType": ("None", "", None),
    "RecordWrapperType": ("None", "", None),
    DISTRIBUTION: ("FullyReplicated", SHARDED, "", None),
}
"""Values of a channel's settings that this image can read; a key that is absent is allowed.

Source: Amazon SageMaker API Reference, ``Channel``.
"""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel's part files."""

    name: str
    files: tuple[Path, ...]
    """Part files, folders included, in the order of their paths."""
    ignored: tuple[str, ...]
    """Files of the channel that are not of its format, by their path below its folder."""
    sharded: bool = False
    """Every host has other part files; otherwise all have the same."""
    format: Format = Format.CSV
    streamed: bool = False
    """The files lie in S3, and every byte that is read is fetched: they are to be read once, from start to end."""


def find(config: Path, data: Path) -> dict[str, Channel]:
    """Find the part files of ``train``, ``validation`` and, if it is configured, ``test``.

    Args:
        config: ``inputdataconfig.json``.
        data: Folder that holds one folder per channel.

    Raises:
        UserError: with every problem of all channels.
    """
    configured = document.load(config)
    problems = [
        f"channel {name!r} is not configured{suggestion(name, configured.values)}; add it to InputDataConfig"
        for name in REQUIRED
        if name not in configured.values
    ]
    problems += [
        f"channel {name!r} is not used by this image{suggestion(name, KNOWN)}; remove it"
        for name in configured.values
        if name not in KNOWN
    ]
    settings = {name: Document(f"{configured.source}: {name}", value) for name, value in configured.values.items()}
    for name, one in settings.items():
        problems += _unreadable(name, one)
    sharded = {name for name, one in settings.items() if one.values.get(DISTRIBUTION) == SHARDED}
    formats = {name: _format(one) for name, one in settings.items() if name in DATA}
    streamed = {name for name, one in settings.items() if one.values.get(INPUT_MODE) == FAST_FILE}
    used = [name for name in DATA if name in REQUIRED or name in configured.values]
    channels = {
        name: replace(
            _list(name, data / name, formats.get(name, Format.CSV)), sharded=name in sharded, streamed=name in streamed
        )
        for name in used
    }
    problems += [
        f"channel {name!r} holds no *{channel.format.suffix} file ({data / name})"
        for name, channel in channels.items()
        if name in configured.values and not channel.files
    ]
    problems += [
        f"channel {name!r}: {DISTRIBUTION} is {SHARDED!r}; only {TRAIN!r} may be sharded"
        for name in sorted(sharded - {TRAIN})
    ]
    if Format.LIBSVM in formats.values() and len(set(formats.values())) > 1:
        problems.append(f"channels {', '.join(used)}: all or none must be {Format.LIBSVM.content_types[0]}")
    if problems:
        raise UserError(summarize(problems))
    return channels


def _unreadable(name: str, settings: Document) -> list[str]:
    return [
        f"channel {name!r}: {key} is {settings.values[key]!r}; this image reads {_shown(key)}"
        for key, allowed in ALLOWED.items()
        if key in settings.values and settings.values[key] not in allowed
    ]


def _shown(key: str) -> str:
    if key != CONTENT_TYPE:
        return str(ALLOWED[key][0])
    *others, last = (str(known.content_types[0]) for known in Format)
    return f"{', '.join(others)} and {last}"


def _format(settings: Document) -> Format:
    content_type = settings.values.get(CONTENT_TYPE)
    return FORMATS.get(content_type, Format.CSV) if isinstance(content_type, str) else Format.CSV


def _list(name: str, folder: Path, kind: Format) -> Channel:
    """List a channel; File mode keeps the folders below the channel's prefix."""
    entries = sorted(entry for entry in folder.rglob("*") if entry.is_file()) if folder.is_dir() else []
    files = tuple(entry for entry in entries if entry.suffix == kind.suffix)
    ignored = tuple(str(entry.relative_to(folder)) for entry in entries if entry not in files)
    return Channel(name, files, ignored, format=kind)
