"""What people and CI run against the program: set-up, checks, diagnosis. Standard library only."""

import sys

OLDEST_PYTHON = 0x030B0000
"""3.11 as `sys.hexversion` counts; this file is read by older interpreters too, and has to tell them."""

if sys.hexversion < OLDEST_PYTHON:
    sys.exit(
        "slipway: Python 3.11 or newer is needed, and this is "
        + sys.version.split()[0]
        + " ("
        + sys.executable
        + ").\nInstall a newer one and name it, for example: make up PYTHON=python3.12"
    )
