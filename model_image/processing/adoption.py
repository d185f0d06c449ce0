"""A model of this image made of what another algorithm left: an XGBoost model of trees over numbers.

The file holds no names, no categories and nothing about its data. All of that follows from the data that the algorithm
was given as numbers (`processing.numbers`), and is inferred from them again in the same way.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from processing.tables import channel
from scoring import champion, container, contract, loading, standalone, train
from scoring.channels import REQUIRED
from scoring.errors import UserError, summarize
from scoring.hosts import Hosts
from scoring.log import say

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import xgboost

    from scoring.channels import Format
    from scoring.hyperparameters import Hyperparameters
    from scoring.loading import Data

FILES: Final = ("xgboost-model", "model.ubj", "model.json")
"""What the model may be called; the first is the name in AWS's images."""


def run(base: Path, settings: Hyperparameters, form: Format, also: Mapping[str, str]) -> None:
    """Make ``base/output/model/model.tar.gz`` of ``base/input/model/model.tar.gz``.

    Args:
        base: Folder of the job, with the inputs ``train`` and ``validation`` as the pipeline checked them.
        settings: What the model was trained with.
        form: What the part files are.
        also: Hyperparameters of the algorithm that this image does not know.

    Raises:
        UserError: the archive holds no model that this image can serve, or one of other data or another objective.
    """
    scratch = base / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    found = {name: channel(name, base / "input" / name, form) for name in REQUIRED}
    data = loading.load(found, settings, Hosts(), say, scratch)
    if settings.objective == contract.MULTICLASS:
        settings = replace(settings, num_class=data.target.classes)
    name, content = _model_file(base / "input/model" / champion.ARCHIVE)
    model = _named(standalone.load(name, content), name, data)
    folder = scratch / "model"
    train.finish(folder, model, settings, data, code_version=container.code_version(), also=also)
    _pack(folder, base / "output/model" / champion.ARCHIVE)


def _model_file(archive: Path) -> tuple[str, bytes]:
    """The one model file of an archive; whatever else it holds is left in it."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = [each for each in tar if each.isreg() and each.name.removeprefix("./") in FILES]
            if len(members) != 1 or members[0].size > champion.LARGEST_FILE:
                shown = ", ".join(each.name for each in members) or "none"
                raise UserError(f"{champion.ARCHIVE} has to hold one of {', '.join(FILES)}, below 1 GiB; found {shown}")
            stream = tar.extractfile(members[0])
            return members[0].name, stream.read() if stream else b""
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise UserError(f"{champion.ARCHIVE}: cannot be unpacked: {error}") from None


def _named(booster: xgboost.Booster, name: str, data: Data) -> bytes:
    """The model with the names and kinds of the data's features."""
    schema, target = data.schema, data.target
    learner: dict[str, Any] = json.loads(booster.save_config())["learner"]
    objective, classes = learner["objective"]["name"], int(learner["learner_model_param"]["num_class"])
    wanted = target.classes if target.objective == contract.MULTICLASS else 0
    problems = {
        f"its objective is {objective!r}, the model has to be of {target.objective!r}": objective != target.objective,
        f"it tells {classes} classes apart, the data have {wanted}": classes != wanted,
        f"it reads {booster.num_features()} features, the data have {schema.width}": booster.num_features()
        != schema.width,
        f"its features are called {', '.join(booster.feature_names or ())}, in the data {', '.join(schema.names)}": (
            booster.feature_names not in (None, list(schema.names))
        ),
    }
    if any(problems.values()):
        raise UserError(summarize([f"{name}: {text}" for text, holds in problems.items() if holds]))
    booster.feature_names, booster.feature_types = list(schema.names), schema.xgboost_types
    return bytes(booster.save_raw(raw_format="ubj"))


def _pack(folder: Path, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(archive, "wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            member, content = tarfile.TarInfo(path.name), path.read_bytes()
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
