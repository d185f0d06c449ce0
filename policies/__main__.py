"""Entry point of the policy pack: Pulumi's engine runs this file and asks it about every resource.

The constructor prints the port of its server and serves until the engine ends the process.
"""

from pulumi_policy import EnforcementLevel, PolicyPack

from crossguard.pack import PACK_NAME, policies
from guardrails.registry import all_rules

PolicyPack(
    name=PACK_NAME,
    policies=policies(all_rules()),
    enforcement_level=EnforcementLevel.MANDATORY,
    description="Guardrails for Slipway: identity, encryption, network, data, supply chain, tags.",
)
