"""Teams: namespaces that are nobody else's, quotas that can be used, and access that says one thing."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Final

from settings.instances import EC2_TYPES, gpus
from settings.model import NamespaceSpec, PoolRole, Settings, Target, TeamSpec
from settings.problems import Finding, Path, repeated
from settings.rules.environment import Rule

TeamRule = Callable[[Settings, int], Iterator[Finding]]
"""A rule on the team at an index."""

_RESERVED: Final = (
    *("accelerators", "argo-rollouts", "cert-manager", "default", "external-dns", "headroom", "monitoring"),
    *("monitoring-nodes", "prometheus-adapter"),
)
_RESERVED_PREFIXES: Final = ("kube-", "eks-", "aws-", "amazon-")
_RESERVED_WORDS: Final = f"{', '.join(_RESERVED)} and those that begin with {', '.join(_RESERVED_PREFIXES)}"
_ONLINE: Final = (Target.REAL_TIME, Target.SERVERLESS, Target.ASYNCHRONOUS)
_DUTIES: Final = ("view", "deploy", "release")
_MILLIS: Final = 1000
_MIB: Final = 1024


def team_names_differ(settings: Settings) -> Iterator[Finding]:
    """A team's name is the name of its groups, and a label by which bills tell teams apart."""
    names = [team.name for team in settings.teams]
    for index, first in repeated(names).items():
        yield Finding(
            path=("teams", index, "name"),
            found=f"{names[index]} again (first in teams[{first}])",
            allowed="a name that no other team has",
            remedy="rename one of the two, or put the namespaces into one",
        )


def names_of_models_are_not_those_of_teams(settings: Settings) -> Iterator[Finding]:
    """Repositories of teams and roles of their namespaces begin with `team-`, among those of the models."""
    for index, model in enumerate(settings.models):
        if model.name.startswith("team-"):
            yield Finding(
                path=("models", index, "name"),
                found=model.name,
                allowed="a name that does not begin with team-, as repositories and roles of teams do",
                remedy=f"write {model.name.removeprefix('team-')}, or another name",
            )


def namespaces_differ(settings: Settings) -> Iterator[Finding]:
    """A cluster has one namespace of a name: with two owners each would change the other's quota."""
    places = [
        (team, index, namespace.name)
        for team, spec in enumerate(settings.teams)
        for index, namespace in enumerate(spec.namespaces)
    ]
    for again, first in repeated([name for _, _, name in places]).items():
        team, index, name = places[again]
        yield Finding(
            path=("teams", team, "namespaces", index, "name"),
            found=f"{name} again (first in teams[{places[first][0]}].namespaces[{places[first][1]}])",
            allowed="a name that no other namespace has",
            remedy="rename one of the two, or remove it",
        )


def written_prefixes_are_apart(settings: Settings) -> Iterator[Finding]:
    """Whoever writes below another's prefix replaces what that one trained; a model's prefix belongs to its jobs."""
    owners = {f"{model.name}/": f"the model {model.name}" for model in settings.models}
    for team, spec in enumerate(settings.teams):
        for index, namespace in enumerate(spec.namespaces):
            for place, prefix in enumerate(namespace.buckets.write_models):
                other = next((each for each in owners if prefix.startswith(each) or each.startswith(prefix)), None)
                if other is not None:
                    yield Finding(
                        path=_namespace(team, index, "buckets", "writeModels", place),
                        found=prefix,
                        allowed=f"a prefix apart from {other}, which {owners[other]} writes",
                        remedy="write a prefix of the namespace's own, such as its name and a slash",
                    )
                owners.setdefault(prefix, f"the namespace {namespace.name}")


def namespaces_are_not_reserved(settings: Settings, index: int) -> Iterator[Finding]:
    """Kubernetes keeps `default` and `kube-`, EKS its own prefixes, and the platform's controllers have theirs."""
    for place, namespace in enumerate(settings.teams[index].namespaces):
        if namespace.name in _RESERVED or namespace.name.startswith(_RESERVED_PREFIXES):
            yield Finding(
                path=_namespace(index, place, "name"),
                found=namespace.name,
                allowed=f"any name but {_RESERVED_WORDS}",
                remedy=f"write {settings.teams[index].name}-{namespace.workload_type}, or another name of your own",
            )


def members_belong_to_the_account(settings: Settings, index: int) -> Iterator[Finding]:
    """An access entry takes roles of the cluster's own account and partition."""
    account, partition = settings.environment.account_id, settings.environment.partition
    for path, arn in _members(settings.teams[index], index):
        _, found_partition, _, _, found_account, role = arn.split(":", 5)
        if (found_partition, found_account) != (partition, account):
            yield Finding(
                path=path,
                found=arn,
                allowed=f"a role of account {account} in partition {partition}",
                remedy=f"write arn:{partition}:iam::{account}:{role}",
            )


def members_have_one_duty(settings: Settings, index: int) -> Iterator[Finding]:
    """`deploy` includes `view`; a role that stands in two duties leaves open which one was meant."""
    members = list(_members(settings.teams[index], index))
    for again, first in repeated([arn for _, arn in members]).items():
        yield Finding(
            path=members[again][0],
            found=f"{members[again][1]} again (first in access.{members[first][0][3]})",
            allowed="each role once in a team",
            remedy="keep it in the duty that it needs: deploy includes view",
        )


def members_do_not_administer(settings: Settings, index: int) -> Iterator[Finding]:
    """A cluster has one access entry per role, and an administrator's is made already."""
    for path, arn in _members(settings.teams[index], index):
        if arn in settings.cluster.admin_role_arns:
            yield Finding(
                path=path,
                found=arn,
                allowed="a role that is not in slipway:cluster.adminRoleArns, which may do everything",
                remedy="remove it here or there",
            )


def quotas_hold_the_largest_container(settings: Settings, index: int) -> Iterator[Finding]:
    """A container as large as the limits allow has to fit the quota of its namespace."""
    for place, namespace in enumerate(settings.teams[index].namespaces):
        quota, limits = namespace.quota, namespace.limits
        for field, largest, most, words in (
            ("maxCpuMillis", limits.max_cpu_millis, quota.cpu * _MILLIS, f"quota.cpu ({quota.cpu})"),
            ("maxMemoryMib", limits.max_memory_mib, quota.memory_gib * _MIB, f"quota.memoryGib ({quota.memory_gib})"),
        ):
            if largest > most:
                yield Finding(
                    path=_namespace(index, place, "limits", field),
                    found=str(largest),
                    allowed=f"at most {most}, all of {words}",
                    remedy=f"lower it to {most}, or raise the quota",
                )


def defaults_are_within_the_maximum(settings: Settings, index: int) -> Iterator[Finding]:
    """A default above the maximum refuses every container that says nothing (Kubernetes API, LimitRange)."""
    for place, namespace in enumerate(settings.teams[index].namespaces):
        limits = namespace.limits
        for field, default, most, other in (
            ("defaultCpuMillis", limits.default_cpu_millis, limits.max_cpu_millis, "maxCpuMillis"),
            ("defaultMemoryMib", limits.default_memory_mib, limits.max_memory_mib, "maxMemoryMib"),
        ):
            if default > most:
                yield Finding(
                    path=_namespace(index, place, "limits", field),
                    found=str(default),
                    allowed=f"at most {other} ({most})",
                    remedy=f"lower it to {most}, or raise {other}",
                )


def gpu_quotas_can_be_used(settings: Settings, index: int) -> Iterator[Finding]:
    """A quota that no pool can fill promises GPUs that never come."""
    supply = _gpu_supply(settings)
    for place, namespace in enumerate(settings.teams[index].namespaces):
        if namespace.quota.gpus > supply:
            yield Finding(
                path=_namespace(index, place, "quota", "gpus"),
                found=str(namespace.quota.gpus),
                allowed=f"at most {supply}, all GPUs that the pools with role gpu may have",
                remedy=f"lower it to {supply}, or raise the pools' bounds",
            )


def load_balancers_reach_their_pods(settings: Settings, index: int) -> Iterator[Finding]:
    """Without a way to the pods a load balancer finds no healthy target; without one, the way is open for nothing."""
    for place, namespace in enumerate(settings.teams[index].namespaces):
        count, subnets = namespace.quota.load_balancers, namespace.load_balancer_subnets
        if bool(count) is not bool(subnets):
            yield Finding(
                path=_namespace(index, place, "loadBalancerSubnets"),
                found="an empty list" if count else ", ".join(subnets),
                allowed=f"at least one while quota.loadBalancers is {count}"
                if count
                else "an empty list while quota.loadBalancers is 0",
                remedy="write [private] for internal load balancers, or set quota.loadBalancers to 0"
                if count
                else "write [], or raise quota.loadBalancers",
            )


def invoked_models_have_endpoints(settings: Settings, index: int) -> Iterator[Finding]:
    """A role names endpoints that exist."""
    online = {model.name for model in settings.models if model.serving is not None and model.serving.target in _ONLINE}
    for place, namespace in enumerate(settings.teams[index].namespaces):
        for number, name in enumerate(namespace.invokes):
            if name not in online:
                yield Finding(
                    path=_namespace(index, place, "invokes", number),
                    found=name,
                    allowed=f"models that an endpoint of SageMaker serves: {', '.join(sorted(online)) or 'none here'}",
                    remedy="remove it, or set serving.target of the model to real-time, serverless or asynchronous",
                )


def asked_models_are_served_by_pods(settings: Settings, index: int) -> Iterator[Finding]:
    """A network policy opens the way to pods that there are."""
    served = {
        model.name for model in settings.models if model.serving is not None and model.serving.target is Target.EKS
    }
    for place, namespace in enumerate(settings.teams[index].namespaces):
        for number, name in enumerate(namespace.asks):
            if name not in served:
                yield Finding(
                    path=_namespace(index, place, "asks", number),
                    found=name,
                    allowed=f"models that pods of the cluster serve: {', '.join(sorted(served)) or 'none here'}",
                    remedy="remove it, or set serving.target of the model to eks",
                )


def choices_are_made_once(settings: Settings, index: int) -> Iterator[Finding]:
    """What is named twice says nothing more."""
    for place, namespace in enumerate(settings.teams[index].namespaces):
        buckets = namespace.buckets
        choices: dict[tuple[str, ...], Sequence[str]] = {
            ("loadBalancerSubnets",): namespace.load_balancer_subnets,
            ("buckets", "readData"): buckets.read_data,
            ("buckets", "readModels"): buckets.read_models,
            ("invokes",): namespace.invokes,
            ("asks",): namespace.asks,
        }
        for path, values in choices.items():
            for again, first in repeated(values).items():
                yield Finding(
                    path=_namespace(index, place, *path, again),
                    found=f"{values[again]} again (first in {path[-1]}[{first}])",
                    allowed="each one once",
                    remedy="remove it",
                )


def _members(team: TeamSpec, index: int) -> Iterator[tuple[Path, str]]:
    """Yield every IAM role of a team with its place."""
    access = team.access
    for duty, arns in zip(_DUTIES, (access.view, access.deploy, access.release), strict=True):
        for place, arn in enumerate(arns):
            yield ("teams", index, "access", duty, place), arn


def _gpu_supply(settings: Settings) -> int:
    """Return how many GPUs all pools together may have."""
    managed = (
        pool.max_size * max((gpus(name) for name in pool.instance_types if name in EC2_TYPES), default=0)
        for pool in settings.node_pools
        if pool.role is PoolRole.GPU
    )
    return sum(chain(managed, (pool.limits.gpus for pool in settings.karpenter.pools)))


def _namespace(team: int, index: int, *rest: str | int) -> Path:
    return ("teams", team, "namespaces", index, *rest)


def all_namespaces(settings: Settings) -> list[NamespaceSpec]:
    """Return the namespaces of every team."""
    return [namespace for team in settings.teams for namespace in team.namespaces]


RULES: Final[tuple[Rule, ...]] = (
    team_names_differ,
    names_of_models_are_not_those_of_teams,
    namespaces_differ,
    written_prefixes_are_apart,
)
TEAM_RULES: Final[tuple[TeamRule, ...]] = (
    namespaces_are_not_reserved,
    members_belong_to_the_account,
    members_have_one_duty,
    members_do_not_administer,
    quotas_hold_the_largest_container,
    defaults_are_within_the_maximum,
    gpu_quotas_can_be_used,
    load_balancers_reach_their_pods,
    invoked_models_have_endpoints,
    asked_models_are_served_by_pods,
    choices_are_made_once,
)
