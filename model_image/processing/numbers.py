"""Channels as numbers, for algorithms that know no header and no texts: CSV with the label first, features behind it.

A category is its code, a missing cell is empty. What a code means and in which order the features come is the schema of
the training data, which `processing.adoption` infers again from the same files.
Source: Amazon SageMaker Developer Guide, "Input/Output interface for the XGBoost algorithm".
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np

from processing.tables import read as read_table
from scoring import features, libsvm, targets
from scoring.channels import REQUIRED, TRAIN
from scoring.hosts import Hosts

if TYPE_CHECKING:
    from pathlib import Path

    from scoring.channels import Format
    from scoring.hyperparameters import Hyperparameters

FILE: Final = "numbers"
"""Nothing that looks for rows of a person by the name of a column takes it for a file with a header."""
_BLOCK_ROWS: Final = 10_000
_EVERY_FLOAT32: Final = "%.9g"
"""Nine digits are enough to read the same float32 again (IEEE 754-2019, 5.12.2)."""


def write(target: Path, form: Format, settings: Hyperparameters) -> None:
    """Write each channel of a training to ``<target>/numbers-<channel>``.

    Args:
        target: Folder of the job's outputs, in which the channels lie as they are; that of the training data decides
            what the columns are.
        form: What their files are.
        settings: Label, objective and number of classes.

    Raises:
        UserError: a cell is not what the training data say that it is.
    """
    tables = {name: read_table(name, target / name, form, settings.label) for name in REQUIRED}
    schema = features.infer_schema(tables[TRAIN], settings.label)
    labels = targets.infer([tables[TRAIN]], settings, Hosts())
    for name, read in tables.items():
        table = libsvm.fit(read, schema.names, settings.label)
        rows = np.column_stack([labels.labels(table), features.matrix(table, schema)])
        path = target / f"numbers-{name}" / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="ascii") as file:
            for start in range(0, len(rows), _BLOCK_ROWS):
                block = io.StringIO()
                np.savetxt(block, rows[start : start + _BLOCK_ROWS], fmt=_EVERY_FLOAT32, delimiter=",")
                file.write(block.getvalue().replace("nan", ""))
