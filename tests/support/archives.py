"""Archives of functions as Lambda runs them: in a new interpreter, with nothing else but Lambda's own libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from components import function_archive

if TYPE_CHECKING:
    from components.function_archive import Program

RUNTIME = ("botocore", "dateutil", "urllib3", "six")
"""What a function takes from Lambda's runtime, which has boto3 with these."""
START = """
import sys
sys.path[:0] = sys.argv[1:]
import os
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "1"
"""


def run_alone(archive: Program, program: str, folder: Path) -> str:
    """Run Python without site packages beside an archive; `Context` is there, and the archive's path is `sys.argv[1]`.

    Returns:
        What it printed.
    """
    for package in RUNTIME:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        found = origin.parent if spec.submodule_search_locations else origin
        (folder / found.name).symlink_to(found)
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", START + program, str(function_archive.write(archive)), str(folder)],
        capture_output=True,
        check=False,
        text=True,
        env={"PATH": os.environ["PATH"], "AWS_LAMBDA_FUNCTION_NAME": "f", "LAMBDA_TASK_ROOT": "/var/task"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
