"""What all tests share: property tests try the same examples in every run.

`HYPOTHESIS_PROFILE=exploring make test-unit` looks for new ones.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("exploring")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
