"""The tables of AWS facts agree with what AWS publishes in its own SDK."""

from typing import Any, cast

import pytest
from botocore.loaders import Loader

from settings.instances import (
    EC2_TYPES,
    HOSTING_TYPES,
    PROCESSING_TYPES,
    TRAINING_TYPES,
    TRANSFORM_TYPES,
    UNSUPPORTED,
    Accelerator,
    Architecture,
    accelerator,
    architecture,
    family,
    near,
    takes_volume_key,
)
from settings.places import REGIONS


def enumeration(service: str, shape: str) -> set[str]:
    model = cast("dict[str, Any]", Loader().load_service_model(service, "service-2"))
    return set(model["shapes"][shape]["enum"])


def test_every_node_type_exists_in_ec2() -> None:
    assert len(EC2_TYPES) > 900
    assert enumeration("ec2", "InstanceType") >= EC2_TYPES


def test_training_types_are_those_of_sagemaker() -> None:
    assert enumeration("sagemaker", "TrainingInstanceType") == TRAINING_TYPES
    assert enumeration("sagemaker", "ProcessingInstanceType") == PROCESSING_TYPES


def test_types_of_endpoints_and_batches_are_those_of_sagemaker() -> None:
    assert enumeration("sagemaker", "ProductionVariantInstanceType") == HOSTING_TYPES
    assert enumeration("sagemaker", "TransformInstanceType") == TRANSFORM_TYPES


@pytest.mark.parametrize(("name", "takes"), [("ml.m5.xlarge", True), ("ml.g5.xlarge", False), ("ml.p3.2xlarge", True)])
def test_a_host_with_local_disks_takes_no_key_for_its_volume(name: str, *, takes: bool) -> None:
    assert takes_volume_key(name) is takes


def test_regions_are_those_of_the_sdk() -> None:
    data = cast("dict[str, Any]", Loader().load_data("endpoints"))
    published = {partition["partition"]: frozenset(partition["regions"]) for partition in data["partitions"]}
    assert {partition: published[partition] for partition in REGIONS} == REGIONS


@pytest.mark.parametrize(
    ("name", "arch", "chip"),
    [
        ("m6i.large", Architecture.AMD64, Accelerator.NONE),
        ("m7g.large", Architecture.ARM64, Accelerator.NONE),
        ("c7gn.large", Architecture.ARM64, Accelerator.NONE),
        ("im4gn.large", Architecture.ARM64, Accelerator.NONE),
        ("m7i-flex.large", Architecture.AMD64, Accelerator.NONE),
        ("g4dn.xlarge", Architecture.AMD64, Accelerator.NVIDIA),
        ("g5g.xlarge", Architecture.ARM64, Accelerator.NVIDIA),
        ("gr6.4xlarge", Architecture.AMD64, Accelerator.NVIDIA),
        ("p6-b200.48xlarge", Architecture.AMD64, Accelerator.NVIDIA),
        ("p6e-gb200.36xlarge", Architecture.ARM64, Accelerator.NVIDIA),
        ("trn2.48xlarge", Architecture.AMD64, Accelerator.NEURON),
    ],
)
def test_architecture_and_accelerator_follow_from_the_family(name: str, arch: Architecture, chip: Accelerator) -> None:
    assert name in EC2_TYPES
    assert (architecture(name), accelerator(name)) == (arch, chip)


def test_every_family_with_a_gpu_letter_has_an_accelerator_and_no_other_has() -> None:
    by_letter = {name for name in EC2_TYPES if name.startswith(("g", "p", "inf", "trn"))}
    assert by_letter == {name for name in EC2_TYPES if accelerator(name) is not Accelerator.NONE}


def test_an_unsupported_family_is_offered_nowhere() -> None:
    assert not {family(name) for name in EC2_TYPES} & UNSUPPORTED.keys()


@pytest.mark.parametrize(
    ("typed", "meant"), [("m5.xlrge", "m5.xlarge"), ("m55.xlarge", "m5.xlarge"), ("g6.3xlarge", "g6.xlarge")]
)
def test_a_typo_is_answered_with_the_type_that_was_meant(typed: str, meant: str) -> None:
    assert meant in near(typed, EC2_TYPES)


def test_a_type_like_no_other_is_answered_with_nothing() -> None:
    assert near("quantum.large", EC2_TYPES) == ()
