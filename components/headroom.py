"""Headroom: room on elastic nodes that is kept free, so that a burst finds a node that is there already.

Creates: a closed namespace of its own with a quota that fits its placeholders exactly; per pool of the settings a
Deployment of pods that do nothing, below every other pod in priority. A pod that finds no room takes the place of one;
the placeholder then waits, and Karpenter starts the next node for it.
Nothing waits for the placeholders to run: their nodes start minutes later, and nobody needs them for going on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from components import headroom_objects
from components.headroom_objects import ACCOUNT, NAMESPACE
from components.namespaces import create_namespace

if TYPE_CHECKING:
    from components.handles import KarpenterHandle, PodNetworkHandle, PrioritiesHandle, Ready
    from settings.model import ElasticPoolSpec, HeadroomPoolSpec, KarpenterSpec

_META = kubernetes.meta.v1.ObjectMetaArgs


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadroomArgs:
    """Arguments of `Headroom`."""

    spec: KarpenterSpec
    """How much on which pool, and the pools."""
    kubernetes_version: str
    """Minor version that the Pod Security standard is read at."""
    priorities: PrioritiesHandle
    """The class of the placeholders."""
    pod_network: PodNetworkHandle
    """The CNI, which enforces the network policies."""
    karpenter: KarpenterHandle
    """The pools: placeholders go before their nodes do."""


class Headroom(pulumi.ComponentResource):
    """Placeholders; see the module for what is created. Needs the cluster's Kubernetes provider."""

    def __init__(self, name: str, args: HeadroomArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:headroom:Headroom", name, None, opts)
        self._name, self._args = name, args
        inside = create_namespace(
            name,
            NAMESPACE,
            labels={},
            kubernetes_version=args.kubernetes_version,
            parent=self,
            after=args.pod_network.ready,
        )
        bounded = self._bound(inside)
        pools = {pool.name: pool for pool in args.spec.pools}
        for room in args.spec.headroom.pools:
            self._keep_free(room, pools[room.pool], after=(*inside, *bounded))
        self.register_outputs({"pools": [room.pool for room in args.spec.headroom.pools]})

    def _bound(self, inside: Ready) -> Ready:
        core, opts = kubernetes.core.v1, pulumi.ResourceOptions(parent=self, depends_on=list(inside))
        quota = core.ResourceQuota(
            f"{self._name}-quota",
            metadata=_META(name="quota", namespace=NAMESPACE),
            spec=core.ResourceQuotaSpecArgs(hard=headroom_objects.quota(self._args.spec.headroom.pools)),
            opts=opts,
        )
        limits = core.LimitRange(
            f"{self._name}-limits",
            metadata=_META(name="limits", namespace=NAMESPACE),
            spec=core.LimitRangeSpecArgs(limits=[headroom_objects.defaults()]),
            opts=opts,
        )
        account = core.ServiceAccount(
            f"{self._name}-account",
            metadata=_META(name=ACCOUNT, namespace=NAMESPACE),
            automount_service_account_token=False,
            opts=opts,
        )
        return quota, limits, account

    def _keep_free(self, room: HeadroomPoolSpec, pool: ElasticPoolSpec, *, after: Ready) -> None:
        args = self._args
        kubernetes.apps.v1.Deployment(
            f"{self._name}-{pool.name}",
            metadata=_META(name=pool.name, namespace=NAMESPACE, annotations={"pulumi.com/skipAwait": "true"}),
            spec=headroom_objects.deployment(room, pool, args.spec.headroom.image),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*after, *args.priorities.ready, *args.karpenter.ready]
            ),
        )
