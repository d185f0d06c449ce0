"""What notebooks may do: run themselves, read data and versions, keep experiments apart from what pipelines write.

Source: SageMaker developer guide, "Studio spaces: access control", for the policy variables that bind a space and its
apps to the profile that they belong to; service authorization reference for the condition keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from components import grants, iam
from components.labels import DATA, MODELS
from components.promotion_policies import package_arns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.labels import Labels
    from settings.model import ModelSpec, StudioDomainSpec

LOGS: Final = "/aws/sagemaker/studio"
"""Log group of the notebooks of an account; SageMaker fixes and creates it."""
EXPERIMENTS: Final = "experiments/"
"""Prefix of the models bucket that no pipeline reads."""
_DOMAIN: Final = "${sagemaker:DomainId}"
_OWNER: Final = f"user-profile/{_DOMAIN}/${{sagemaker:UserProfileName}}"


def abilities(labels: Labels, spec: StudioDomainSpec, models: Sequence[ModelSpec]) -> dict[str, list[iam.Statement]]:
    """Abilities of the role of notebooks, beside the use of the key."""
    account = iam.Account.of(labels.environment)
    return {
        "run-notebooks": _run(account, spec),
        "read-data": [
            *grants.read_objects(account, labels.bucket(DATA), [model.dataset_prefix for model in models]),
            *grants.read_objects(account, labels.bucket(MODELS), [EXPERIMENTS]),
            *grants.write_objects(account, labels.bucket(MODELS), [EXPERIMENTS]),
        ],
        "read-versions": [
            {"Effect": "Allow", "Action": "sagemaker:DescribeModelPackage", "Resource": package_arns(labels, models)}
        ]
        if models
        else [],
        "write-logs": [*grants.create_log_group(account, LOGS), *grants.write_logs(account, LOGS)],
    }


def _run(account: iam.Account, spec: StudioDomainSpec) -> list[iam.Statement]:
    """Make one's own private spaces and run notebooks in them, on the hosts of the settings."""
    mine: iam.Condition = {
        "ArnLike": {"sagemaker:OwnerUserProfileArn": account.arn("sagemaker", _OWNER)},
        "StringEquals": {"sagemaker:SpaceSharingType": "Private"},
    }
    app = account.arn("sagemaker", f"app/{_DOMAIN}/*/*/*")
    space = account.arn("sagemaker", f"space/{_DOMAIN}/*")
    hosts: iam.Condition = {"ForAllValues:StringEquals": {"sagemaker:InstanceTypes": list(spec.instance_types)}}
    owned = [app, space, account.arn("sagemaker", f"domain/{_DOMAIN}"), account.arn("sagemaker", _OWNER)]
    return [
        {"Effect": "Allow", "Action": "sagemaker:CreateApp", "Resource": app, "Condition": {**mine, **hosts}},
        {"Effect": "Allow", "Action": "sagemaker:DeleteApp", "Resource": app, "Condition": mine},
        {
            "Effect": "Allow",
            "Action": ["sagemaker:CreateSpace", "sagemaker:UpdateSpace", "sagemaker:DeleteSpace"],
            "Resource": space,
            "Condition": mine,
        },
        {
            "Effect": "Allow",
            "Action": "sagemaker:AddTags",
            "Resource": [app, space],
            "Condition": {"Null": {"sagemaker:TaggingAction": "false"}},
        },
        {
            "Effect": "Allow",
            "Action": [f"sagemaker:Describe{each}" for each in ("App", "Domain", "Space", "UserProfile")],
            "Resource": owned,
        },
        {
            "Effect": "Allow",
            "Action": [f"sagemaker:List{each}" for each in ("Apps", "Domains", "Spaces", "UserProfiles")],
            "Resource": "*",
        },
    ]
