"""Who gets which requests, as the documents that Envoy reads.

Source: Envoy's API reference, v3: `config.bootstrap`, `config.cluster`, `config.endpoint`, `config.route`. One cluster
holds all processes with a weight each, so that a request whose process dies is tried again on another one
(`previous_hosts`), whichever version that serves. The other clusters hold one version each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rollout.plan import WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CHAMPION, CHALLENGER, EVERYONE = "champion", "challenger", "everyone"
ROUTES = "routes"
LISTENER = "callers"
VARIANT_HEADER = "x-variant"
"""Header, or cookie, whose value `challenger` asks for the new version in an A/B test."""

Document = dict[str, Any]
_LOOPBACK: Final = "127.0.0.1"
_TYPE: Final = "type.googleapis.com/envoy"
_IDLE: Final = "30s"
"""Shorter than the model server keeps idle connections."""
_TRIES: Final = 3
"""Attempts after the first."""
_LIMITS: Final = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
_MANY: Final = 10_000
"""Envoy allows 3 retries at a time by default; when a process dies, all that it had to answer are tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Where requests go."""

    champion: tuple[int, ...]
    """Ports of the old version's processes that take requests."""
    challenger: tuple[int, ...] = ()
    """Ports of the new version's."""
    weight: int = 0
    """Share of the new version, in percent; ignored when the old one has no process."""
    by_variant: bool = False
    """Callers that ask for the new version get it, all others the old one."""
    mirror: bool = False
    """The new version gets a copy of every request, and its answers are dropped."""

    def shares(self) -> dict[int, int]:
        """Whole-numbered weight of every port that takes requests, in lowest terms."""
        if not self.champion:
            return dict.fromkeys(self.challenger, 1)
        weight = self.weight if self.challenger else 0
        old = (WHOLE - weight) * (len(self.challenger) or 1)
        new = weight * len(self.champion)
        found = dict.fromkeys(self.champion, old) | dict.fromkeys(self.challenger, new)
        divisor = math.gcd(*found.values()) or 1
        return {port: share // divisor for port, share in found.items() if share}


def bootstrap(folder: Path, port: int) -> Document:
    """What Envoy starts with: everything else is in files of a folder that it watches."""
    return {
        "node": {"id": "slipway", "cluster": "slipway"},
        "admin": {"address": _address(0)},
        "static_resources": {
            "listeners": [_listener(folder, port)],
            "clusters": [_cluster(folder, name) for name in (EVERYONE, CHAMPION, CHALLENGER)],
        },
    }


def files(table: Table) -> dict[str, Document]:
    """The documents of a table by name, in the order in which they are to be written: routes last."""
    members: Mapping[str, Mapping[int, int]] = {
        EVERYONE: table.shares(),
        CHAMPION: dict.fromkeys(table.champion, 1),
        CHALLENGER: dict.fromkeys(table.challenger, 1),
    }
    assignments = {
        name: _resource("config.endpoint.v3.ClusterLoadAssignment", _members(name, shares))
        for name, shares in members.items()
    }
    return {**assignments, ROUTES: _resource("config.route.v3.RouteConfiguration", _routes(table))}


def _resource(kind: str, document: Document) -> Document:
    return {"resources": [{"@type": f"{_TYPE}.{kind}", **document}]}


def _address(port: int) -> Document:
    return {"socket_address": {"address": _LOOPBACK, "port_value": port}}


def _watched(folder: Path, name: str) -> Document:
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": str(folder / f"{name}.json"), "watched_directory": {"path": str(folder)}},
    }


def _members(name: str, shares: Mapping[int, int]) -> Document:
    endpoints = [
        {"endpoint": {"address": _address(port)}, "load_balancing_weight": share} for port, share in shares.items()
    ]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}] if endpoints else []}


def _cluster(folder: Path, name: str) -> Document:
    options = f"{_TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions"
    protocol: Document = {
        "@type": options,
        "common_http_protocol_options": {"idle_timeout": _IDLE},
        "explicit_http_config": {"http_protocol_options": {}},
    }
    return {
        "name": name,
        "type": "EDS",
        "lb_policy": "ROUND_ROBIN",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [dict.fromkeys(_LIMITS, _MANY)]},
        "eds_cluster_config": {"eds_config": _watched(folder, name)},
        "typed_extension_protocol_options": {options.removeprefix("type.googleapis.com/"): protocol},
    }


def _listener(folder: Path, port: int) -> Document:
    manager = {
        "@type": f"{_TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": LISTENER,
        "rds": {"route_config_name": ROUTES, "config_source": _watched(folder, ROUTES)},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": LISTENER, "address": _address(port), "filter_chains": [chain]}


def _routes(table: Table) -> Document:
    default = _route(CHAMPION if table.by_variant else EVERYONE)
    if table.mirror:
        default["route"]["request_mirror_policies"] = [{"cluster": CHALLENGER}]
    routes = [*(_asking() if table.by_variant else ()), default]
    return {"name": ROUTES, "virtual_hosts": [{"name": "models", "domains": ["*"], "routes": routes}]}


def _asking() -> Sequence[Document]:
    """Routes of those who ask for the new version: by header, and by cookie."""
    header = {"name": VARIANT_HEADER, "string_match": {"exact": CHALLENGER}}
    pattern = f"(.*; *)?{VARIANT_HEADER}={CHALLENGER}( *;.*)?"
    cookie = {"name": "cookie", "string_match": {"safe_regex": {"regex": pattern}}}
    return [_route(CHALLENGER, header), _route(CHALLENGER, cookie)]


def _route(cluster: str, *headers: Document) -> Document:
    retry = {
        "retry_on": "connect-failure,refused-stream,reset",
        "num_retries": _TRIES,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": f"{_TYPE}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
            }
        ],
        "host_selection_retry_max_attempts": 5,
    }
    match: Document = {"prefix": "/", **({"headers": list(headers)} if headers else {})}
    return {"match": match, "route": {"cluster": cluster, "timeout": "30s", "retry_policy": retry}}
