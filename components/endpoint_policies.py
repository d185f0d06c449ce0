"""What may pass an endpoint: requests of this account, and the few public objects that nodes and jobs fetch.

Credentials of another account that find their way into the VPC carry no data out through an endpoint (AWS whitepaper,
"Building a data perimeter on AWS").
"""

from __future__ import annotations

from typing import Final

from components import iam

MAX_ENDPOINT_POLICY: Final = 20_480
"""Characters of an endpoint policy (AWS PrivateLink guide, quotas)."""

_ANYONE: Final = {"AWS": "*"}


def s3_endpoint_policy(account: iam.Account) -> str:
    """Policy of the S3 gateway endpoint: this account's principals in this account's buckets, and image layers.

    ECR hands out layers as signed addresses of a bucket of its own, so those requests come from no principal of ours
    (ECR user guide, "Minimum Amazon S3 bucket permissions for Amazon ECR").
    """
    own: iam.Condition = {
        "StringEquals": {"aws:PrincipalAccount": account.account_id, "aws:ResourceAccount": account.account_id}
    }
    layers = account.bucket(f"prod-{account.region}-starport-layer-bucket", "*")
    return iam.document(
        {**_allow("OwnBuckets", "s3:*"), "Resource": "*", "Condition": own},
        {**_allow("ImageLayers", "s3:GetObject"), "Resource": layers},
        limit=MAX_ENDPOINT_POLICY,
    )


def interface_endpoint_policy(account: iam.Account, service: str) -> str:
    """Policy of an interface endpoint: this account's principals.

    Whoever trades a token for a role has no account yet; STS lets them have roles of this account only.
    """
    own: iam.Condition = {"StringEquals": {"aws:PrincipalAccount": account.account_id}}
    statements: list[iam.Statement] = [{**_allow("OwnPrincipals", "*"), "Resource": "*", "Condition": own}]
    if service == "sts":
        exchange = _allow("OwnRoles", "sts:AssumeRoleWithWebIdentity")
        statements.append({**exchange, "Resource": account.role("*")})
    return iam.document(*statements, limit=MAX_ENDPOINT_POLICY)


def _allow(sid: str, action: str) -> iam.Statement:
    return {"Sid": sid, "Effect": "Allow", "Principal": _ANYONE, "Action": action}
