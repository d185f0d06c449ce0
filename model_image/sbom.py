"""The model image's bill of materials in CycloneDX, from its lock: what pip installs there on Linux.

python -m sbom            # write model_image/sbom.cdx.json
python -m sbom --check    # exit code 1 if it is not the lock's
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.requirements import Requirement

from tools.environments import ROOT
from tools.locks import PYTHON

LOCK = ROOT / "requirements/image.txt"
BILL = ROOT / "model_image/sbom.cdx.json"
IMAGE = {
    "python_version": PYTHON,
    "python_full_version": f"{PYTHON}.0",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "implementation_name": "cpython",
}
"""Markers of the image; its two architectures get the same versions, which a test holds."""


def installed(lock: str) -> Iterator[str]:
    """Give what of a lock the image gets, as ``name==version``."""
    for line in re.findall(r"^[A-Za-z0-9][^\\\n]*", lock, re.MULTILINE):
        requirement = Requirement(line.strip())
        if requirement.marker is None or requirement.marker.evaluate(IMAGE):
            yield f"{requirement.name}{requirement.specifier}"


def document(lock: str) -> str:
    """Give the bill of materials of a lock.

    Raises:
        subprocess.CalledProcessError: the generator refused it.
    """
    command = [str(Path(sys.executable).parent / "cyclonedx-py"), "requirements", "--output-reproducible", "-"]
    lines = "\n".join(installed(lock))
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)  # noqa: S603 - no shell
    return done.stdout.rstrip("\n") + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the bill, or compare it; 1 when it is not the lock's."""
    wanted = document(LOCK.read_text(encoding="utf-8"))
    if "--check" not in arguments:
        BILL.write_text(wanted, encoding="utf-8")
        return 0
    if BILL.read_text(encoding="utf-8") == wanted:
        return 0
    sys.stderr.write(f"{BILL.relative_to(ROOT)} is not that of {LOCK.relative_to(ROOT)}; run `python -m sbom`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
