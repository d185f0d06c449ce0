"""Names of images and of machines, which rules take apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.images import Image, image
from guardrails.machines import Machine, accelerated, machine, rank

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("reference", "name", "tag", "digest"),
    [
        ("busybox", "docker.io/library/busybox", "", ""),
        ("team/app:1", "docker.io/team/app", "1", ""),
        ("localhost/app:1", "localhost/app", "1", ""),
        ("registry:5000/app", "registry:5000/app", "", ""),
        (f"registry.example.com:5000/a/b:1.2@{DIGEST}", "registry.example.com:5000/a/b", "1.2", DIGEST),
        ("registry.example.com/a@sha256:short", "registry.example.com/a", "", ""),
    ],
)
def test_a_reference_to_an_image_is_taken_apart(reference: str, name: str, tag: str, digest: str) -> None:
    assert image(reference) == Image(name, tag, digest)


def test_an_image_moves_unless_a_version_or_a_digest_holds_it() -> None:
    assert image("a").moving
    assert image("a:latest").moving
    assert not image("a:1").moving
    assert not image(f"a:latest@{DIGEST}").moving


def test_a_pattern_covers_what_lies_below_it_and_no_neighbour() -> None:
    found = image("registry.example.com/team/app:1")
    assert found.within(("registry.example.com",))
    assert found.within(("registry.example.com/team/",))
    assert found.within(("registry.*/team/*",))
    assert not found.within(("registry.example.co", "registry.example.com/tea", "team"))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("m6i.xlarge", Machine("m6i", "xlarge")),
        ("ml.g4dn.12xlarge", Machine("g4dn", "12xlarge")),
        ("u-6tb1.metal", Machine("u-6tb1", "metal")),
        ("m7i.metal-24xl", Machine("m7i", "metal-24xl")),
        ("large", None),
        ("", None),
    ],
)
def test_a_name_of_a_machine_is_taken_apart(name: str, found: Machine | None) -> None:
    assert machine(name) == found


def test_sizes_have_an_order_and_what_is_no_size_comes_last() -> None:
    sizes = ["nano", "micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "48xlarge", "metal"]
    assert [rank(size) for size in sizes] == sorted({rank(size) for size in sizes})
    assert rank("huge") == rank("metal")


@given(st.sampled_from(["p4d", "g5", "gr6", "trn1", "inf2", "dl1", "p", "g"]))
def test_families_and_categories_with_accelerators_are_known(family: str) -> None:
    assert accelerated(family)


@given(st.sampled_from(["m6i", "c7g", "r5", "t3", "i4i", "hpc7g", "x2idn", "m", "c"]))
def test_other_families_have_none(family: str) -> None:
    assert not accelerated(family)
