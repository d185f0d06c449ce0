"""CodeBuild and Signer."""

from __future__ import annotations

from typing import Final

from sandbox.providers.aws_kinds.shared import ROLE
from sandbox.providers.kinds import Kind, arn, joined

KINDS: Final[dict[str, Kind]] = {
    "aws:codebuild/project:Project": Kind(
        identify=lambda birth: (
            f"arn:{birth.place.partition}:codebuild:{birth.place.region}:{birth.place.account_id}"
            f":project/{birth.text('name')}"
        ),
        compute=lambda _birth, id_: {"arn": id_},
        immutable=frozenset({"name"}),
        needs={"serviceRole": ROLE},
    ),
    "aws:signer/signingProfile:SigningProfile": Kind(
        identify=joined("name"),
        compute=arn("arn:{partition}:signer:{region}:{account}:/signing-profiles/{id}"),
        immutable=frozenset({"name", "namePrefix", "platformId", "signatureValidityPeriod", "signingMaterial"}),
        autoname="name",
        api=("signer", "PutSigningProfile", ""),
    ),
}
