"""Tables of accelerators: what they say is about types that exist, and what follows from them adds up."""

import pytest

from settings.devices import EFA_ADAPTERS, MIG_PARTITIONS, PLUGIN_IN_IMAGE, WITHOUT_MPS, gpus, partitions
from settings.instances import EC2_FAMILIES, EC2_TYPES, Accelerator, accelerator
from settings.sharing import pods_per_gpu
from tests.settings.stacks import changed, settings_of


def test_adapters_are_those_of_types_that_a_pool_may_name() -> None:
    assert len(EFA_ADAPTERS) > 100
    assert EFA_ADAPTERS.keys() <= EC2_TYPES


@pytest.mark.parametrize(
    ("name", "adapters", "count"),
    [
        ("p5.48xlarge", 32, 8),
        ("p5.4xlarge", 1, 1),
        ("p4d.24xlarge", 4, 8),
        ("g6.8xlarge", 1, 1),
        ("g6.xlarge", 0, 1),
        ("g5g.16xlarge", 0, 2),
        ("trn1.32xlarge", 8, 0),
        ("m6i.xlarge", 0, 0),
    ],
)
def test_a_type_has_its_adapters_and_gpus(name: str, adapters: int, count: int) -> None:
    assert (EFA_ADAPTERS.get(name, 0), gpus(name)) == (adapters, count)


def test_exactly_the_types_with_nvidia_gpus_have_some() -> None:
    assert {name for name in EC2_TYPES if gpus(name)} == {
        name for name in EC2_TYPES if accelerator(name) is Accelerator.NVIDIA
    }


def test_partitions_of_a_gpu_take_no_more_than_its_seven_slices() -> None:
    assert MIG_PARTITIONS.keys() | WITHOUT_MPS <= EC2_FAMILIES
    for family, profiles in MIG_PARTITIONS.items():
        assert accelerator(family) is Accelerator.NVIDIA
        for profile, count in profiles.items():
            slices = int(profile.partition("g.")[0])
            assert 7 // (slices + 1) <= count <= 7 // slices
            assert partitions(family, profile) == count
    assert partitions("g6.xlarge", "1g.10gb") == 0
    assert partitions("g6.xlarge", None) == 1


def test_a_profile_can_share_a_partition_too() -> None:
    edits = {
        "accelerators.gpuProfiles.0.migProfile": "2g.20gb",
        "accelerators.gpuProfiles.0.replicas": 2,
    }
    profile = settings_of(changed(edits)).accelerators.gpu_profiles[0]
    assert pods_per_gpu(profile, "p5.48xlarge") == 6


def test_the_image_of_every_pool_is_known_to_bring_the_plugin_or_not() -> None:
    assert PLUGIN_IN_IMAGE == {"al2023": False, "bottlerocket": True}
