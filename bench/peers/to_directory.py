"""Make a model directory of an XGBoost model file: `to_directory.py MODEL`, unless it is there beside it already."""

import sys
from pathlib import Path

from scoring import standalone

target = Path(sys.argv[1]).with_suffix("")
if not target.exists():
    partial = target.with_suffix(".directory")
    standalone.write(Path(sys.argv[1]), partial)
    partial.rename(target)
