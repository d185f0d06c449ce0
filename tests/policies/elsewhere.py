"""A pack configuration of an organisation that our own program does not suit: many rules have something to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from guardrails.packconfig import load

CONFIG = Path(__file__).parents[2] / "policies" / "config"
FACTS: dict[str, dict[str, Any]] = {
    "data-residency": {"regions": ["eu-central-1"]},
    "eks-access-least-privilege": {"adminPrincipals": []},
    "helm-pinned": {"repositories": ["https://charts.example.com"]},
    "image-pinned-trusted": {"registries": ["registry.example.com"], "firstParty": []},
    "instance-allowlist": {"families": ["x2idn"], "largest": "large"},
    "kms-key-hygiene": {"shortestDeletionDays": 31},
    "namespace-quota": {"enforcementLevel": "mandatory"},
    "required-tags": {"required": ["Team"]},
    "supported-versions": {"kubernetes": ["1.30"]},
    "vpc-endpoints": {"interface": ["bedrock"]},
    "zone-redundancy": {"zones": 4},
}


def elsewhere(environment: str = "prod") -> dict[str, Any]:
    config: dict[str, Any] = load(CONFIG / f"{environment}.json")
    return config | {name: {**config[name], **facts} for name, facts in FACTS.items()}
