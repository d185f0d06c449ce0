"""Volumes: sizes that AWS sells, places that exist, and data under the right key."""

from collections.abc import Iterator
from typing import Final

from settings.model import DataClassification, Settings
from settings.problems import Finding, Path, join, repeated, show
from settings.rules.environment import Rule
from settings.rules.tenancy import all_namespaces

_SMALLEST_GIB: Final = 1200
_STEP_GIB: Final = 2400
"""FSx API reference, `CreateFileSystem`: `StorageCapacity` of SCRATCH_2 and PERSISTENT_2 on SSD."""


_LUSTRE: Final = "lustre"
"""Name of the volume over a Lustre file system."""


def provisioned_throughput_has_an_amount(settings: Settings) -> Iterator[Finding]:
    """EFS takes an amount in the mode that sells amounts, and in no other."""
    efs = settings.storage.efs
    if efs is not None and (efs.throughput_mode == "provisioned") is not (efs.provisioned_mibps is not None):
        missing = efs.provisioned_mibps is None
        yield Finding(
            path=("storage", "efs", "provisionedMibps"),
            found=show(efs.provisioned_mibps),
            allowed="a number of MiB/s for throughputMode provisioned, null for every other",
            remedy="write the throughput that you pay for" if missing else "write null, or throughputMode: provisioned",
        )


def lustre_grows_in_steps(settings: Settings) -> Iterator[Finding]:
    """FSx sells Lustre in steps and refuses what lies between."""
    lustre = settings.storage.lustre
    if lustre is not None and lustre.storage_gib != _SMALLEST_GIB and lustre.storage_gib % _STEP_GIB:
        above = -(-lustre.storage_gib // _STEP_GIB) * _STEP_GIB
        yield Finding(
            path=("storage", "lustre", "storageGib"),
            found=str(lustre.storage_gib),
            allowed=f"{_SMALLEST_GIB}, or a multiple of {_STEP_GIB}",
            remedy=f"write {above}",
        )


def lustre_throughput_fits_the_deployment(settings: Settings) -> Iterator[Finding]:
    """The throughput of PERSISTENT_2 is chosen, that of SCRATCH_2 is fixed."""
    lustre = settings.storage.lustre
    if lustre is not None and (lustre.deployment == "PERSISTENT_2") is not (lustre.throughput_per_tib is not None):
        missing = lustre.throughput_per_tib is None
        yield Finding(
            path=("storage", "lustre", "throughputPerTib"),
            found=show(lustre.throughput_per_tib),
            allowed="125, 250, 500 or 1000 for PERSISTENT_2, null for SCRATCH_2",
            remedy="write 125, or more where trainings wait for data" if missing else "write null",
        )


def confidential_files_have_our_key(settings: Settings) -> Iterator[Finding]:
    """FSx encrypts SCRATCH_2 with a key of its own and takes no other."""
    lustre = settings.storage.lustre
    confidential = settings.environment.data_classification is DataClassification.CONFIDENTIAL
    if lustre is not None and confidential and lustre.deployment == "SCRATCH_2":
        yield Finding(
            path=("storage", "lustre", "deployment"),
            found=lustre.deployment,
            allowed="PERSISTENT_2 while slipway:environment.dataClassification is confidential",
            remedy="write PERSISTENT_2 and a throughputPerTib",
        )


def lustre_stands_in_a_zone_of_the_network(settings: Settings) -> Iterator[Finding]:
    """The file system takes an address in one private subnet."""
    lustre, zones = settings.storage.lustre, settings.network.zones
    if lustre is not None and lustre.zone not in zones:
        yield Finding(
            path=("storage", "lustre", "zone"),
            found=lustre.zone,
            allowed=f"a zone of slipway:network.zones: {join(zones)}",
            remedy="write the zone in which most trainings run",
        )


def volumes_belong_to_a_namespace(settings: Settings) -> Iterator[Finding]:
    """A volume that is kept for a namespace which does not exist is there for nobody."""
    known = [namespace.name for namespace in all_namespaces(settings)]
    for path, namespace in node_volumes(settings):
        if namespace not in known:
            yield Finding(
                path=path,
                found=namespace,
                allowed=f"a namespace of slipway:teams: {join(known)}",
                remedy="write the namespace whose pods mount the volume",
            )


def bucket_volumes_differ(settings: Settings) -> Iterator[Finding]:
    """A volume is found by its name."""
    mountpoint, lustre = settings.storage.mountpoint, settings.storage.lustre
    names = [volume.name for volume in mountpoint.volumes] if mountpoint is not None else []
    first = repeated(names)
    for index, name in enumerate(names):
        taken = f"volumes[{first[index]}]" if index in first else "lustre" if lustre and name == _LUSTRE else ""
        if not taken:
            continue
        yield Finding(
            path=("storage", "mountpoint", "volumes", index, "name"),
            found=f"{name} again (first in {taken})",
            allowed="a name that no other volume has",
            remedy="rename one of the two",
        )


def node_volumes(settings: Settings) -> Iterator[tuple[Path, str]]:
    """Yield where a volume names its namespace, for volumes whose driver runs on every node."""
    lustre, mountpoint = settings.storage.lustre, settings.storage.mountpoint
    if lustre is not None:
        yield ("storage", "lustre", "namespace"), lustre.namespace
    for index, volume in enumerate(mountpoint.volumes if mountpoint is not None else ()):
        yield ("storage", "mountpoint", "volumes", index, "namespace"), volume.namespace
    for team, spec in enumerate(settings.teams):
        for index, namespace in enumerate(spec.namespaces):
            if namespace.secrets:
                yield ("teams", team, "namespaces", index, "secrets"), namespace.name


RULES: Final[tuple[Rule, ...]] = (
    provisioned_throughput_has_an_amount,
    lustre_grows_in_steps,
    lustre_throughput_fits_the_deployment,
    confidential_files_have_our_key,
    lustre_stands_in_a_zone_of_the_network,
    volumes_belong_to_a_namespace,
    bucket_volumes_differ,
)
