"""IAM and KMS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.providers.aws_kinds.shared import IAM, KEY, POLICY, ROLE, side, uuid
from sandbox.providers.kinds import Birth, Kind, arn, fill, joined, together

if TYPE_CHECKING:
    from sandbox.wire import Properties


def _role(birth: Birth, id_: str) -> Properties:
    path = birth.text("path", "/")
    return {"arn": f"{fill(IAM, birth, id_)}role{path}{id_}", "uniqueId": f"AROA{birth.hex(17, 'role').upper()}"}


def _policy_arn(birth: Birth) -> str:
    return (
        f"arn:{birth.place.partition}:iam::{birth.place.account_id}:policy{birth.text('path', '/')}{birth.text('name')}"
    )


def _oidc_arn(birth: Birth) -> str:
    host = birth.text("url").removeprefix("https://")
    return f"arn:{birth.place.partition}:iam::{birth.place.account_id}:oidc-provider/{host}"


KINDS: Final[dict[str, Kind]] = {
    ROLE: Kind(
        identify=joined("name"),
        compute=_role,
        immutable=frozenset({"name", "namePrefix", "path"}),
        autoname="name",
        api=("iam", "CreateRole", ""),
    ),
    POLICY: Kind(
        identify=_policy_arn,
        compute=lambda birth, id_: {"arn": id_, "policyId": f"ANPA{birth.hex(17, 'policy').upper()}"},
        immutable=frozenset({"name", "namePrefix", "path", "description"}),
        autoname="name",
        api=("iam", "CreatePolicy", ""),
    ),
    "aws:iam/rolePolicy:RolePolicy": Kind(
        identify=joined("role", "name", by=":"),
        immutable=frozenset({"role", "name", "namePrefix"}),
        autoname="name",
        needs={"role": ROLE},
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Kind(
        identify=lambda birth: f"{birth.text('role')}-{birth.hex(26)}",
        immutable=frozenset({"role", "policyArn"}),
        needs={"role": ROLE},
    ),
    "aws:iam/instanceProfile:InstanceProfile": Kind(
        identify=joined("name"),
        compute=lambda birth, id_: {
            "arn": f"{fill(IAM, birth, id_)}instance-profile{birth.text('path', '/')}{id_}",
            "uniqueId": f"AIPA{birth.hex(17, 'profile').upper()}",
        },
        immutable=frozenset({"name", "namePrefix", "path"}),
        autoname="name",
        needs={"role": ROLE},
        api=("iam", "CreateInstanceProfile", ""),
    ),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": Kind(
        identify=_oidc_arn,
        compute=lambda _birth, id_: {"arn": id_},
        immutable=frozenset({"url"}),
    ),
    KEY: Kind(
        identify=uuid,
        compute=together(arn("arn:{partition}:kms:{region}:{account}:key/{id}"), lambda _birth, id_: {"keyId": id_}),
        immutable=frozenset({"keyUsage", "customerMasterKeySpec", "customKeyStoreId", "multiRegion"}),
        api=("kms", "CreateKey", ""),
    ),
    "aws:kms/alias:Alias": Kind(
        identify=joined("name"),
        compute=arn("arn:{partition}:kms:{region}:{account}:{name}"),
        immutable=frozenset({"name", "namePrefix"}),
        autoname="name",
        needs={"targetKeyId": KEY},
    ),
    "aws:kms/keyPolicy:KeyPolicy": side(KEY, "keyId"),
}
