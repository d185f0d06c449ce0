"""What the text of a setting has to look like: regular expressions, and what each asks for in words."""

from typing import Final

NAME: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
ACCOUNT_ID: Final = r"^\d{12}$"
REGION: Final = r"^[a-z]{2}(-[a-z]+)+-\d$"
ZONE: Final = r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$"
FUNCTION_ARN: Final = r"^arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]{1,64}$"
ROLE_ARN: Final = r"^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+$"
KEY_ARN: Final = r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/(mrk-)?[0-9a-f-]{32,36}$"
DIGEST: Final = r"^sha256:[0-9a-f]{64}$"
MODEL_DATA: Final = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(.+/)?model\.tar\.gz$"
TAG_VALUE: Final = r"^[A-Za-z0-9][A-Za-z0-9 _.:/=+@-]*$"
ADDON_VERSION: Final = r"^v\d+\.\d+\.\d+-eksbuild\.\d+$"
TRAINING_INSTANCE: Final = r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"
PREFIX: Final = r"^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*/$"
CIDR: Final = r"^(\d{1,3}\.){3}\d{1,3}/\d{1,2}$"
FEATURE_NAME: Final = r"^[^,\x00-\x1f]+$"
COLUMN: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
CHART_REPOSITORY: Final = r"^(oci|https)://[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)*$"
CHART_VERSION: Final = r"^v?\d+\.\d+\.\d+$"
IMAGE_REGISTRY: Final = r"^[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)*$"
MIG_PROFILE: Final = r"^[1-7]g\.\d{1,3}gb$"
AMI_ALIAS: Final = r"^al2023@v\d{8}$"
BUDGET_NODES: Final = r"^((100|[1-9]?\d)%|\d+)$"
CRON: Final = r"^[\d*/,-]+ [\d*/,-]+ [\d*/,-]+ [\dA-Za-z*/,-]+ [\dA-Za-z*/,-]+$"
AWS_CRON: Final = r"^[\d*/,-]+ [\d*/,-]+ ([\dLW*/,-]+ [\dA-Z*/,-]+ \?|\? [\dA-Z*/,-]+ [\dA-Z#*/,-]+) [\d*/,-]+$"
TIME_ZONE: Final = r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$"
NAMESPACE: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
TAINT_KEY: Final = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
TAINT_VALUE: Final = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
EMAIL: Final = r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"
HOSTED_ZONE: Final = r"^Z[0-9A-Z]{1,31}$"
DOMAIN: Final = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$"
DIRECTORY: Final = r"^https://[a-z0-9][a-z0-9.-]*(:\d+)?(/[\w.~-]+)+$"
CERTIFICATE_ARN: Final = r"^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[0-9a-f-]{36}$"
WEB_ACL_ARN: Final = r"^arn:aws[a-z-]*:wafv2:[a-z0-9-]+:\d{12}:regional/webacl/[\w-]{1,128}/[0-9a-f-]{36}$"
VPC_ID: Final = r"^vpc-([0-9a-f]{8}|[0-9a-f]{17})$"
ROUTE_TABLE_ID: Final = r"^rtb-([0-9a-f]{8}|[0-9a-f]{17})$"
SECURITY_GROUP_ID: Final = r"^sg-([0-9a-f]{8}|[0-9a-f]{17})$"
TAGGED_IMAGE: Final = r"^[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)+:[\w.-]+$"
PINNED_IMAGE: Final = r"^[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)+(:[\w.-]+)?@sha256:[0-9a-f]{64}$"
REQUEST_PATH: Final = r"^/([A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*)?$"
HOOK: Final = r"^https://[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(/[a-z][a-z-]{0,30}[0-9]{0,2})*/?$"
TOPIC_ARN: Final = r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$"
ENVIRONMENT: Final = r"^[a-z][a-z0-9]*$"
PROSE: Final = r"^[^\x00-\x1f]+$"
HEADER_NAME: Final = r"^[A-Za-z][A-Za-z0-9-]*$"
HEADER_VALUE: Final = r"^[\w*?.:;=/+@-]+$"
TUNING_JOB: Final = r"^[a-zA-Z0-9](-*[a-zA-Z0-9])*$"
BUILT_IN_VERSION: Final = r"^\d{1,2}\.\d{1,2}-\d{1,2}$"
ECR_REGISTRY: Final = r"^\d{12}\.dkr\.ecr\.[a-z]{2}(-[a-z]+)+-\d\.amazonaws\.com(\.cn)?(/[a-z0-9]+([._-][a-z0-9]+)*)*$"
ECR_IMAGE: Final = (
    r"^\d{12}\.dkr\.ecr\.[a-z]{2}(-[a-z]+)+-\d\.amazonaws\.com(\.cn)?(/[a-z0-9]+([._-][a-z0-9]+)*)+"
    r"@sha256:[0-9a-f]{64}$"
)
SOURCE_FOLDER: Final = r"^[A-Za-z0-9_][\w-]*(/[A-Za-z0-9_][\w-]*)*$"
SCRIPT: Final = r"^[A-Za-z_][A-Za-z0-9_]*\.py$"
PATTERNS: Final[dict[str, str]] = {
    NAME: "lower-case letters, digits and single hyphens, starting with a letter, such as flight-delay",
    ACCOUNT_ID: 'twelve digits in quotes, such as "111122223333"',
    REGION: "the code of an AWS region, such as eu-central-1",
    ZONE: "the name of an availability zone, such as eu-central-1a",
    FUNCTION_ARN: "the ARN of a Lambda function, such as arn:aws:lambda:us-east-1:111122223333:function:rotate",
    ROLE_ARN: "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/platform-admin",
    KEY_ARN: "the ARN of a KMS key, such as "
    "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    DIGEST: "sha256: and 64 hexadecimal digits",
    MODEL_DATA: "an S3 address that ends in model.tar.gz, such as s3://bucket/flight-delay/jobs/7/output/model.tar.gz",
    TAG_VALUE: "letters, digits, spaces and _ . : / = + - @, which AWS allows in a tag",
    ADDON_VERSION: "an exact EKS add-on version, such as v1.22.4-eksbuild.3",
    TRAINING_INSTANCE: "a SageMaker instance type, such as ml.m5.xlarge",
    PREFIX: "lower-case path segments, each followed by a slash, such as flight-delay/",
    CIDR: "an IPv4 range in CIDR notation, such as 10.0.0.0/16",
    FEATURE_NAME: "the name of a feature without commas, such as carrier",
    COLUMN: "letters, digits and underscores, not starting with a digit, such as late",
    CHART_REPOSITORY: "a chart repository without the chart's name, such as oci://registry.example.com/team",
    CHART_VERSION: "one exact chart version, such as 1.14.1",
    IMAGE_REGISTRY: "an image registry, with a path where it has one, such as registry.example.com/mirror",
    AMI_ALIAS: "one release of the image, such as al2023@v20260818; never @latest, which replaces nodes by itself",
    MIG_PROFILE: "a partition of a GPU as NVIDIA names it, such as 1g.10gb",
    BUDGET_NODES: "a share such as 10%, or a number of nodes such as 1",
    AWS_CRON: "six fields of a schedule of EventBridge, one of day and weekday a question mark, such as 0 6 ? * MON *",
    TIME_ZONE: "a time zone of the IANA database, such as Europe/Berlin",
    CRON: "five fields of a cron schedule in UTC: minute, hour, day, month and weekday, such as 0 8 * * 1-5",
    NAMESPACE: "a DNS label: lower-case letters, digits and hyphens, at most 63, such as ml-inference",
    TAINT_KEY: "a label key, such as example.com/team",
    ENVIRONMENT: "lower-case letters and digits, starting with a letter, such as prod: by a hyphen names of two "
    "environments could meet",
    PROSE: "text on one line, without tabs or control characters",
    HOOK: "an https address of plain words, such as https://alarms.example.com/slipway; one with a key is a secret: "
    "subscribe it to a topic of your own and name that in topics",
    TOPIC_ARN: "the ARN of a topic, such as arn:aws:sns:eu-central-1:111122223333:on-call",
    EMAIL: "an e-mail address, such as ml-platform@example.com",
    HOSTED_ZONE: "the id of a hosted zone, such as Z0123456789ABCDEFGHIJ",
    DOMAIN: "a domain in lower case without a dot at the end, such as ml.example.com",
    DIRECTORY: "the address of an ACME directory, such as https://acme-v02.api.letsencrypt.org/directory",
    CERTIFICATE_ARN: "the ARN of an ACM certificate, such as "
    "arn:aws:acm:eu-central-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef",
    WEB_ACL_ARN: "the ARN of a regional web ACL, such as "
    "arn:aws:wafv2:eu-central-1:111122223333:regional/webacl/edge/01234567-89ab-cdef-0123-456789abcdef",
    VPC_ID: "the id of a VPC, such as vpc-0123456789abcdef0",
    ROUTE_TABLE_ID: "the id of a route table, such as rtb-0123456789abcdef0",
    SECURITY_GROUP_ID: "the id of a security group, such as sg-0123456789abcdef0",
    TAGGED_IMAGE: "an image by its tag, such as public.ecr.aws/docker/library/python:3.11-slim-bookworm",
    PINNED_IMAGE: "an image by its digest, such as registry.k8s.io/pause:3.10.1@sha256: and 64 hexadecimal digits",
    REQUEST_PATH: "a path without a slash at the end, such as /invocations",
    HEADER_NAME: "the name of a request header, such as x-variant, or Cookie",
    HEADER_VALUE: "letters, digits and . _ : ; = / + @ -, with * for any characters, such as *variant=b*",
    TUNING_JOB: "the name of a tuning job: letters, digits and hyphens, such as 3aee15-a1b2c3d4e5f6-0123456789-0",
    BUILT_IN_VERSION: "the version of an image of AWS, such as 3.2-0",
    ECR_REGISTRY: "a registry of ECR, with a repository where only that is meant, such as "
    "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team",
    ECR_IMAGE: "an image in ECR by its digest, such as 111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/forest"
    "@sha256: and 64 hexadecimal digits",
    SOURCE_FOLDER: "a folder of the repository without a slash at either end, such as models/churn",
    SCRIPT: "the name of a Python file, such as train.py",
    TAINT_VALUE: "a label value: letters, digits and . _ -, at most 63, such as research",
}
"""What each pattern of this module asks for, in words and with an example."""
