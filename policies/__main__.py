"""Entry point of the policy pack: Pulumi's engine runs this file and asks it about every resource.

The constructor prints the port of its server and serves until the engine ends the process.
"""

import io
import sys

from pulumi_policy import EnforcementLevel, PolicyPack

from crossguard.pack import PACK_NAME, policies
from guardrails.registry import all_rules

# The SDK does not flush the port, so without an unbuffered stream (or python -u) the engine would wait for it for ever.
sys.stdout = io.TextIOWrapper(io.FileIO(sys.stdout.fileno(), "wb", closefd=False), write_through=True)

PolicyPack(
    name=PACK_NAME,
    policies=policies(all_rules()),
    enforcement_level=EnforcementLevel.MANDATORY,
    description="Guardrails for Slipway: identity, encryption, network, data, supply chain, tags.",
)
