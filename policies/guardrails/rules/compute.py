"""Machines: their disks and their metadata service."""

from collections.abc import Iterator

from guardrails.facts import NoFacts
from guardrails.resources import Resource, Stack
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    ResourceRule,
    Severity,
    StackRule,
    Undetermined,
    Violation,
    require,
    require_true,
)
from guardrails.view import Missing, Unknown, Value

_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_CONFIGURATION = "aws:ec2/launchConfiguration:LaunchConfiguration"
_INSTANCE = "aws:ec2/instance:Instance"
_SPOT = "aws:ec2/spotInstanceRequest:SpotInstanceRequest"
_NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
_STORAGE_CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
_MANAGED = "eks:index:ManagedNodeGroup"
_NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
_DEFAULT = "aws:ebs/encryptionByDefault:EncryptionByDefault"

_VOLUMES = {
    _TEMPLATE: ("blockDeviceMappings[*].ebs",),
    _CONFIGURATION: ("rootBlockDevice", "ebsBlockDevices[*]"),
    _INSTANCE: ("rootBlockDevice", "ebsBlockDevices[*]"),
    _SPOT: ("rootBlockDevice", "ebsBlockDevices[*]"),
    _NODE_CLASS: ("spec.blockDeviceMappings[*].ebs",),
    "aws:ebs/volume:Volume": ("",),
    "aws:efs/fileSystem:FileSystem": ("",),
}
_EBS_DRIVERS = {"ebs.csi.aws.com", "ebs.csi.eks.amazonaws.com", "kubernetes.io/aws-ebs"}
_LEFT_TO_IMAGE = {_TEMPLATE: "blockDeviceMappings", _INSTANCE: "rootBlockDevice", _CONFIGURATION: "rootBlockDevice"}


def _check_volumes(resource: Resource, _: NoFacts) -> Iterator[Finding]:
    for path in _VOLUMES.get(resource.token, ()):
        for volume in resource.select(path):
            if not isinstance(volume, Missing):
                yield from require_true(volume.child("encrypted"))
    if resource.token == _STORAGE_CLASS:
        driver = resource.get("provisioner")
        if isinstance(driver, Unknown) or driver.text() in _EBS_DRIVERS:
            yield from require_true(resource.get("parameters.encrypted"))
    elif resource.token == _MANAGED:
        size, template = resource.get("diskSize"), resource.get("launchTemplate")
        if not isinstance(size, Missing) and isinstance(template, Missing):
            wanted = "a launch template with encrypted disks"
            yield Violation(path=size.path, found="diskSize without launchTemplate", wanted=wanted)


ENC_04 = ResourceRule(
    id="ENC-04",
    name="volumes-encrypted",
    title="Volumes and file systems are encrypted",
    tokens=(*_VOLUMES, _STORAGE_CLASS, _MANAGED),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("fsbp:EC2.3", "fsbp:EC2.7", "fsbp:EC2.181", "fsbp:EFS.1", "soc2:CC6.1", "gdpr:32-1-a"),
    why="a snapshot or a lost disk would be readable",
    fix='set encrypted (the text "true" in launch templates and storage classes) and a kms_key_id',
    facts=NoFacts,
    check=_check_volumes,
    traps=(
        'launch templates spell booleans as text, and "false" is not empty',
        "a mapping without ebs is an instance store, which the machine encrypts",
        "the pulumi-eks ManagedNodeGroup makes an unencrypted template when only diskSize is given",
    ),
)


def _check_default(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    defaults = [each.get("enabled") for each in stack.of(_DEFAULT)]
    if any(isinstance(value, Missing) or value.flag() for value in defaults):
        return
    for resource in stack.of(*_LEFT_TO_IMAGE):
        volumes = resource.given(_LEFT_TO_IMAGE[resource.token])
        if not volumes.elements():
            yield Undetermined(path=volumes.path, why="left to the image and the account", resource=resource)


ENC_04_DEFAULT = StackRule(
    id="ENC-04",
    name="volumes-encrypted-by-default",
    title="Machines that leave their disks to the image rely on encryption by default",
    tokens=tuple(_LEFT_TO_IMAGE),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("fsbp:EC2.7", "soc2:CC6.1", "gdpr:32-1-a"),
    why="without a disk of its own in the template, the image and the account decide",
    fix="declare the root device with encrypted, or add aws.ebs.EncryptionByDefault to the stack",
    facts=NoFacts,
    check=_check_default,
    traps=("the account may encrypt by default outside this stack, so absence is undetermined, not a violation",),
)

_MACHINES = (_TEMPLATE, _CONFIGURATION, _INSTANCE, _SPOT)


_IMDS_V2 = 2


def _one_hop(value: Value) -> bool:
    return value.number() == 1


def _required(value: Value) -> bool:
    return value.text() == "required"


def _check_metadata(resource: Resource, _: NoFacts) -> Iterator[Finding]:
    if resource.token in _MACHINES:
        options = resource.get("metadataOptions")
        if options.get("httpEndpoint").text() != "disabled":
            yield from require(options.get("httpTokens"), _required, "required")
            yield from require(options.get("httpPutResponseHopLimit"), _one_hop, "1")
    elif resource.token == _NODE_CLASS:
        options = resource.get("spec.metadataOptions")
        tokens, hops = options.get("httpTokens"), options.get("httpPutResponseHopLimit")
        yield from require(tokens, lambda value: isinstance(value, Missing) or _required(value), "required")
        yield from require(hops, lambda value: isinstance(value, Missing) or _one_hop(value), "1")
    elif resource.token == _NOTEBOOK:
        version = resource.get("instanceMetadataServiceConfiguration.minimumInstanceMetadataServiceVersion")
        yield from require(version, lambda value: value.number() == _IMDS_V2, "2")
    elif resource.get("enableIMDSv2").flag():
        wanted = "a launch template of its own with hop limit 1"
        yield Violation(path="enableIMDSv2", found="true, which sets the hop limit to 2", wanted=wanted)


NET_05 = ResourceRule(
    id="NET-05",
    name="imds-v2-hop-1",
    title="The instance metadata service asks for tokens and answers no container",
    tokens=(*_MACHINES, _NODE_CLASS, _NOTEBOOK, _MANAGED),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("fsbp:EC2.8", "fsbp:EC2.170", "soc2:CC6.1"),
    why="with more than one hop, or without tokens, any pod or request forgery can take the node's role",
    fix="set metadata_options with http_tokens required and http_put_response_hop_limit 1",
    facts=NoFacts,
    check=_check_metadata,
    traps=(
        "what is not written is decided by the image, whose default may be two hops",
        "a Karpenter node class without metadataOptions gets tokens and one hop",
        "a disabled endpoint answers nobody",
    ),
)
