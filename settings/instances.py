"""Which EC2 and SageMaker instance types exist and what a node group has to know about them, as data.

Sources, read 2026-11-22: the enumerations `InstanceType` (EC2) and `TrainingInstanceType` (SageMaker) of botocore
1.44.5 for families and sizes; the EC2 guide "Instance type naming conventions" for the architecture (a `g` behind the
generation is Graviton) and its exceptions; the changelog of awslabs/amazon-eks-ami for the GPUs that the AL2023 NVIDIA
image drives. Left out on purpose: bare metal, previous generations, Mac, HPC and high-memory types, which no pool of
this platform is made of. Types differ from region to region; a missing one is an error of EC2, not of this table.
"""

import re
from difflib import get_close_matches
from enum import StrEnum
from typing import Final


class Architecture(StrEnum):
    """Processor architecture of a node, as Kubernetes labels it."""

    AMD64 = "amd64"
    ARM64 = "arm64"


class Accelerator(StrEnum):
    """What computes besides the processor."""

    NONE = "none"
    NVIDIA = "nvidia"
    NEURON = "neuron"


_EC2_SIZES: Final = """
t3 t3a t4g : nano micro small medium large xlarge 2x
t8i : nano micro small medium
m5 m5a m5ad m5d m5dn m5n r5 r5a r5ad r5b r5d r5dn r5n c5a c5ad : large xlarge 2x 4x 8x 12x 16x 24x
c5 c5d : large xlarge 2x 4x 9x 12x 18x 24x
c5n : large xlarge 2x 4x 9x 18x
m5zn z1d : large xlarge 2x 3x 6x 12x
m6g m6gd c6g c6gd c6gn r6g r6gd x2gd m7g m7gd c7g c7gd c7gn r7g r7gd : medium large xlarge 2x 4x 8x 12x 16x
m6i m6id m6in m6idn c6i c6id c6in r6i r6id r6in r6idn i4i : large xlarge 2x 4x 8x 12x 16x 24x 32x
m6a c6a r6a : large xlarge 2x 4x 8x 12x 16x 24x 32x 48x
m7a c7a r7a : medium large xlarge 2x 4x 8x 12x 16x 24x 32x 48x
m7i c7i r7i i7i i8g : large xlarge 2x 4x 8x 12x 16x 24x 48x
m7i-flex c7i-flex m8i-flex c8i-flex r8i-flex : large xlarge 2x 4x 8x 12x 16x
m8a m8g m8gd m8gb m8gn c8a c8g c8gd c8gb c8gn x8g : medium large xlarge 2x 4x 8x 12x 16x 24x 48x
r8a r8g r8gd r8gb r8gn m9g m9gd c9g c9gd r9g r9gd : medium large xlarge 2x 4x 8x 12x 16x 24x 48x
m8i m8id m8in m8ib m8idn m8idb c8i c8id c8in c8ib : large xlarge 2x 4x 8x 12x 16x 24x 32x 48x 96x
r8i r8id r8in r8ib r8idn r8idb : large xlarge 2x 4x 8x 12x 16x 24x 32x 48x 96x
i3 i4g im4gn : large xlarge 2x 4x 8x 16x
i3en : large xlarge 2x 3x 6x 12x 24x
i7ie i8ge : large xlarge 2x 3x 6x 12x 18x 24x 48x
g4dn : xlarge 2x 4x 8x 12x 16x
g5 g6 g6e : xlarge 2x 4x 8x 12x 16x 24x 48x
g5g : xlarge 2x 4x 8x 16x
gr6 : 4x 8x
p3 : 2x 8x 16x
p3dn p4d p4de : 24x
p5 : 4x 48x
p5e p5en p6-b200 p6-b300 : 48x
p6e-gb200 : 36x
inf1 : xlarge 2x 6x 24x
inf2 : xlarge 8x 24x 48x
trn1 : 2x 32x
trn1n : 32x
trn2 : 3x 48x
"""

_SAGEMAKER_SIZES: Final = """
t3 : medium large xlarge 2x
m4 : xlarge 2x 4x 10x 16x
m5 : large xlarge 2x 4x 12x 24x
r5 r5d : large xlarge 2x 4x 8x 12x 16x 24x
c4 : xlarge 2x 4x 8x
c5 c5n : xlarge 2x 4x 9x 18x
m6i r6i : large xlarge 2x 4x 8x 12x 16x 24x 32x
c6i : xlarge 2x 4x 8x 12x 16x 24x 32x
m7i c7i r7i : large xlarge 2x 4x 8x 12x 16x 24x 48x
m7i-flex m8i-flex r8i-flex : large xlarge 2x 4x 8x 12x 16x
g4dn c7i-flex c8i-flex : xlarge 2x 4x 8x 12x 16x
m8i r8i : large xlarge 2x 4x 8x 12x 16x 24x 32x 48x 96x
c8i : xlarge 2x 4x 8x 12x 16x 24x 32x 48x 96x
g5 g6 g6e : xlarge 2x 4x 8x 12x 16x 24x 48x
g7 g7e : 2x 4x 8x 12x 24x 48x
p2 : xlarge 8x 16x
p3 : 2x 8x 16x
p3dn p4d p4de : 24x
p5 : 4x 48x
p5e p5en p6-b200 p6-b300 trn2 : 48x
p6e-gb200 : 36x
trn1 : 2x 32x
trn1n : 32x
"""


_HOSTING_SIZES: Final = """
t2 : medium large xlarge 2x
c4 : large xlarge 2x 4x 8x
c5 c5d : large xlarge 2x 4x 9x 18x
c6i c6in m6i r6i : large xlarge 2x 4x 8x 12x 16x 24x 32x
c6g c6gd c6gn c7g m6g m6gd r6g r6gd : large xlarge 2x 4x 8x 12x 16x
c7i m7i r7i : large xlarge 2x 4x 8x 12x 16x 24x 48x
c8g m8g r8g : medium large xlarge 2x 4x 8x 12x 16x 24x 48x
r7gd : medium large xlarge 2x 4x 8x 12x 16x
m4 : xlarge 2x 4x 10x 16x
m5 m5d r5 r5d : large xlarge 2x 4x 12x 24x
g4dn : xlarge 2x 4x 8x 12x 16x
g5 g6 g6e : xlarge 2x 4x 8x 12x 16x 24x 48x
g7 g7e : 2x 4x 8x 12x 24x 48x
p2 : xlarge 8x 16x
p3 : 2x 8x 16x
dl1 p4d p4de : 24x
p5 : 4x 48x
p5e p5en p6-b200 p6-b300 trn2 : 48x
p6e-gb200 : 36x
inf1 : xlarge 2x 6x 24x
inf2 : xlarge 8x 24x 48x
trn1 : 2x 32x
trn1n : 32x
"""

_TRANSFORM_SIZES: Final = """
c4 : xlarge 2x 4x 8x
c5 : xlarge 2x 4x 9x 18x
c6i m6i r6i : large xlarge 2x 4x 8x 12x 16x 24x 32x
c7i m7i r7i : large xlarge 2x 4x 8x 12x 16x 24x 48x
m4 : xlarge 2x 4x 10x 16x
m5 : large xlarge 2x 4x 12x 24x
g4dn : xlarge 2x 4x 8x 12x 16x
g5 g6 g6e : xlarge 2x 4x 8x 12x 16x 24x 48x
p2 : xlarge 8x 16x
p3 : 2x 8x 16x
inf2 : xlarge 8x 24x 48x
trn1 : 2x 32x
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _types(table: str, prefix: str = "") -> frozenset[str]:
    """Return the types of a table with lines `families : sizes`, where `4x` is short for `4xlarge`."""
    rows = (line.split(" : ") for line in table.strip().splitlines())
    return frozenset(
        f"{prefix}{family}.{size}large" if size.endswith("x") else f"{prefix}{family}.{size}"
        for families, sizes in rows
        for family in families.split()
        for size in sizes.split()
    )


EC2_TYPES: Final = _types(_EC2_SIZES)
"""Every EC2 instance type that a node pool may name."""

EC2_FAMILIES: Final = frozenset(name.partition(".")[0] for name in EC2_TYPES)
"""Every EC2 instance family that an elastic pool may name."""

TRAINING_TYPES: Final = _types(_SAGEMAKER_SIZES, "ml.")
"""Every SageMaker instance type that a training job may name."""

_TRAINING_ONLY: Final = _words("c5n p3dn p4d p4de p5e p5en p6-b200 p6-b300 p6e-gb200 trn1 trn1n trn2")

PROCESSING_TYPES: Final = frozenset(
    name for name in TRAINING_TYPES - {"ml.p5.48xlarge"} if name.split(".")[1] not in _TRAINING_ONLY
)
"""Every SageMaker instance type that a processing job may name."""

HOSTING_TYPES: Final = _types(_HOSTING_SIZES, "ml.")
"""Every SageMaker instance type that an endpoint may name."""

TRANSFORM_TYPES: Final = _types(_TRANSFORM_SIZES, "ml.")
"""Every SageMaker instance type that a batch transform job may name."""

_LOCAL_DISKS: Final = _words(
    "c5d c6gd m5d m6gd r5d r6gd r7gd dl1 g4dn g5 g6 g6e g7 g7e p3dn p4d p4de p5 p5e p5en "
    "p6-b200 p6-b300 p6e-gb200 trn1 trn1n trn2"
)

_NVIDIA: Final = _words("g4dn g5 g5g g6 g6e gr6 p3 p3dn p4d p4de p5 p5e p5en p6-b200 p6-b300 p6e-gb200")
_NEURON: Final = _words("inf1 inf2 trn1 trn1n trn2")
_ARM_BY_EXCEPTION: Final = frozenset({"p6e-gb200"})
_GRAVITON: Final = re.compile(r"^[a-z]+\d+[a-z]*g")

_SEVERAL_GPUS: Final = {
    "g4dn": {"12xlarge": 4},
    "g5": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
    "g5g": {"16xlarge": 2},
    "g6": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
    "g6e": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
    "p3": {"8xlarge": 4, "16xlarge": 8},
    "p6e-gb200": {"36xlarge": 4},
    **{name: {"24xlarge": 8} for name in ("p3dn", "p4d", "p4de")},
    **{name: {"48xlarge": 8} for name in ("p5", "p5e", "p5en", "p6-b200", "p6-b300")},
}
"""GPUs by family and size, where there is more than one (EC2 guide, "Accelerated computing instances")."""

UNSUPPORTED: Final[dict[str, str]] = {
    "g7": "the NVIDIA image's driver (580) does not see its GPUs",
    "g7e": "no evidence that the NVIDIA image's driver (580) sees its GPUs",
    "g6f": "a part of a GPU needs a GRID driver, which the NVIDIA image does not start",
    "gr6f": "a part of a GPU needs a GRID driver, which the NVIDIA image does not start",
    "g4ad": "its GPUs are made by AMD, for which EKS has no image",
    "g2": "its GPUs are too old for the NVIDIA image's driver (580)",
    "p2": "its GPUs are too old for the NVIDIA image's driver (580)",
}
"""Families that a user would reasonably try, and why they are not offered."""


def family(instance_type: str) -> str:
    """Return the part of `instance_type` before the size: `g6` of `g6.xlarge`."""
    return instance_type.partition(".")[0]


def takes_volume_key(instance_type: str) -> bool:
    """Return whether a job on a type of `TRAINING_TYPES` may name a key for its volume.

    Types with local disks encrypt these with a key of the host, and SageMaker refuses another one (SageMaker API
    reference, `ResourceConfig`, `VolumeKmsKeyId`).
    """
    return instance_type.split(".")[1] not in _LOCAL_DISKS


def architecture(instance_type: str) -> Architecture:
    """Return the architecture of a type or family of `EC2_TYPES`."""
    name = family(instance_type)
    return Architecture.ARM64 if _GRAVITON.match(name) or name in _ARM_BY_EXCEPTION else Architecture.AMD64


def accelerator(instance_type: str) -> Accelerator:
    """Return the accelerator of a type or family of `EC2_TYPES`."""
    name = family(instance_type)
    if name in _NVIDIA:
        return Accelerator.NVIDIA
    return Accelerator.NEURON if name in _NEURON else Accelerator.NONE


def gpus(instance_type: str) -> int:
    """Return how many NVIDIA GPUs a type of `EC2_TYPES` has."""
    if accelerator(instance_type) is not Accelerator.NVIDIA:
        return 0
    return _SEVERAL_GPUS.get(family(instance_type), {}).get(instance_type.partition(".")[2], 1)


def near(instance_type: str, known: frozenset[str]) -> tuple[str, ...]:
    """Return at most three of `known` that `instance_type` may have meant: of its own family, else of a similar one."""
    families = sorted({name.rpartition(".")[0] for name in known})
    wanted = instance_type.rpartition(".")[0]
    similar = [wanted] if wanted in families else get_close_matches(wanted, families, n=5)
    choices = sorted(name for name in known if name.rpartition(".")[0] in similar)
    return tuple(get_close_matches(instance_type, choices, n=3, cutoff=0.0))
