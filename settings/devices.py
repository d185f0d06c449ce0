"""How many GPUs and fabric adapters an instance type has and how its GPUs can be divided, as data.

Sources, read 2026-11-22: the instance type reference of Karpenter's documentation at 1.14 for GPUs and adapters, and
for the adapters also the list of types in the chart aws-efa-k8s-device-plugin 0.5.30 (types that only one of the two
names are left out); EC2 guide, "Amazon EC2 P3 instances" and "P6e-GB200" for those that the reference lacks; NVIDIA
Multi-Instance GPU user guide, "Supported MIG Profiles"; source of the NVIDIA device plugin 0.20, `mps/device.go`.
"""

from typing import Final

from settings.instances import Accelerator, accelerator, family

_GPUS: Final = """
2 : g5g.16x
4 : g4dn.12x g5.12x g5.24x g6.12x g6.24x g6e.12x g6e.24x p3.8x p6e-gb200.36x
8 : g5.48x g6.48x g6e.48x p3.16x p3dn.24x p4d.24x p4de.24x p5.48x p5e.48x p5en.48x p6-b200.48x p6-b300.48x
"""

_ADAPTERS: Final = """
c5n : 9x 18x
c6a c7a c7i c8a c9g c9gd i7ie i8g i8ge m6a m7a m7i m8a m9g m9gd r6a r7a r7i r8a : 48x
c6gn c7g c7gd c7gn i4g im4gn m7g m7gd r7g r7gd : 16x
c6i c6id i4i m6i m6id r6i r6id : 32x
c6in m6idn m6in r6idn r6in : 32x*2
c8g c8gd i7i m8g m8gd r8g r8gd x8g : 24x 48x
c8gb c8gn m8gb m8gn r8gb r8gn : 16x 24x 48x*2
c8i c8id m8i m8id r8i r8id : 48x 96x
c8ib c8in m8ib m8idb m8idn m8in r8ib r8idb r8idn r8in : 48x 96x*2
g4dn : 8x 12x 16x
g5 g6 : 8x 12x 16x 24x 48x
g6e : 8x 12x 16x 24x*2 48x*4
gr6 : 8x
i3en : 12x 24x
inf1 m5dn m5n p3dn r5dn r5n : 24x
m5zn : 12x
p4d p4de : 24x*4
p5 : 4x 48x*32
p5e : 48x*32
p5en trn2 : 48x*16
p6-b200 : 48x*8
trn1 : 32x*8
trn1n : 32x*16
"""
# p6-b300 is missing on purpose: its first network card takes no adapter, which its layout would have to tell.


def _gpus() -> dict[str, int]:
    rows = (line.split(" : ") for line in _GPUS.strip().splitlines())
    return {f"{name}large": int(count) for count, names in rows for name in names.split()}


def _adapters() -> dict[str, int]:
    rows = (line.split(" : ") for line in _ADAPTERS.strip().splitlines())
    return {
        f"{name}.{size.partition('*')[0]}large": int(size.partition("*")[2] or 1)
        for names, sizes in rows
        for name in names.split()
        for size in sizes.split()
    }


EFA_ADAPTERS: Final = _adapters()
"""Elastic Fabric Adapters by instance type, each on a network card of its own, for the types that have any."""

_SEVERAL_GPUS: Final = _gpus()

_A100_40: Final = {"1g.5gb": 7, "2g.10gb": 3, "3g.20gb": 2}
_80_GB: Final = {"1g.10gb": 7, "1g.20gb": 4, "2g.20gb": 3, "3g.40gb": 2}
_H200: Final = {"1g.18gb": 7, "1g.35gb": 4, "2g.35gb": 3, "3g.71gb": 2}
_B200: Final = {"1g.23gb": 7, "1g.45gb": 4, "2g.45gb": 3, "3g.90gb": 2}

MIG_PARTITIONS: Final = {
    "p4d": _A100_40,
    "p4de": _80_GB,
    "p5": _80_GB,
    "p5e": _H200,
    "p5en": _H200,
    "p6-b200": _B200,
}
"""Partitions of a GPU by family and MIG profile, for the families whose GPUs can be divided."""

WITHOUT_MPS: Final = frozenset({"p3", "p3dn"})
"""Families whose GPUs are too old (compute capability below 7.5) for the limits that the plugin sets with MPS."""

PLUGIN_IN_IMAGE: Final = {"al2023": False, "bottlerocket": True}
"""Whether the accelerated variant of a machine image starts NVIDIA's device plugin by itself (EKS best practices,
"Compute and autoscaling" for AI/ML): a second one would claim the same GPUs."""


def gpus(instance_type: str) -> int:
    """Return how many GPUs a type of `EC2_TYPES` has."""
    if accelerator(instance_type) is not Accelerator.NVIDIA:
        return 0
    return _SEVERAL_GPUS.get(instance_type, 1)


def partitions(instance_type: str, mig_profile: str | None) -> int:
    """Return how many parts a MIG profile cuts each GPU of a type or family into; 1 without one, 0 if it cannot."""
    return 1 if mig_profile is None else MIG_PARTITIONS.get(family(instance_type), {}).get(mig_profile, 0)
