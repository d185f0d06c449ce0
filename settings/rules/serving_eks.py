"""Serving by pods: a namespace with room, nodes that carry the load, one way in."""

from collections.abc import Iterator
from typing import Final

from settings.model import Capacity, EksServingSpec, NamespaceSpec, Scheme, Settings
from settings.problems import Finding, Path, join
from settings.rules.models import ModelRule
from settings.rules.tenancy import all_namespaces
from settings.scale_up import CEILING_SECONDS, slowest_start
from settings.serving_capacity import pods_for, room, supply

_SUBNETS: Final = {Scheme.INTERNAL: "private", Scheme.INTERNET_FACING: "public"}


def pods_have_a_namespace(settings: Settings, index: int) -> Iterator[Finding]:
    """Pods run in a namespace that a team has for inference."""
    spec = _pods(settings, index)
    known = [namespace.name for namespace in _for_inference(settings)]
    if spec is not None and spec.namespace not in known:
        yield Finding(
            path=_at(index, "namespace"),
            found=spec.namespace,
            allowed=join(known) if known else "a namespace of the workload type inference; no team has one",
            remedy="choose one of them, or add the namespace to a team",
        )


def answers_in_production_bear_no_interruption(settings: Settings, index: int) -> Iterator[Finding]:
    """AWS takes a spot node back within two minutes, and several at once when a market runs dry."""
    spec = _pods(settings, index)
    if spec is not None and spec.capacity is Capacity.SPOT and settings.environment.protect_data:
        yield Finding(
            path=_at(index, "capacity"),
            found="spot",
            allowed="on-demand in an environment that protects its data: somebody waits for the answers",
            remedy="write on-demand, or serve by batch",
        )


def fewest_pods_are_below_the_most(settings: Settings, index: int) -> Iterator[Finding]:
    """The API server refuses an autoscaler whose bounds are the wrong way round."""
    spec = _pods(settings, index)
    if spec is not None and spec.autoscaling.min_pods > spec.autoscaling.max_pods:
        yield Finding(
            path=_at(index, "autoscaling", "minPods"),
            found=str(spec.autoscaling.min_pods),
            allowed=f"at most maxPods ({spec.autoscaling.max_pods})",
            remedy=f"lower it to {spec.autoscaling.max_pods}, or raise maxPods",
        )


def pods_carry_the_target_load(settings: Settings, index: int) -> Iterator[Finding]:
    """What the most pods cannot carry is answered late, or not at all."""
    spec = _pods(settings, index)
    if spec is None:
        return
    needed = pods_for(spec.target_requests_per_second, spec)
    if needed > spec.autoscaling.max_pods:
        carried = spec.autoscaling.max_pods * spec.pod.requests_per_second * 100 // (100 + spec.reserve_percent)
        yield Finding(
            path=_at(index, "targetRequestsPerSecond"),
            found=str(spec.target_requests_per_second),
            allowed=f"at most {carried}, what {spec.autoscaling.max_pods} pods carry with {spec.reserve_percent} % in "
            "reserve",
            remedy=f"raise autoscaling.maxPods to {needed}, or give a pod more and measure it again",
        )


def mean_objective_is_below_the_percentile(settings: Settings, index: int) -> Iterator[Finding]:
    """A mean above the time of 95 answers in a hundred is made of a few that hang: the percentile would never alert."""
    spec = _pods(settings, index)
    aims = None if spec is None else spec.objectives
    if aims is not None and aims.mean_milliseconds > aims.p95_milliseconds:
        yield Finding(
            path=_at(index, "objectives", "meanMilliseconds"),
            found=f"{aims.mean_milliseconds:g}",
            allowed=f"at most p95Milliseconds ({aims.p95_milliseconds})",
            remedy=f"lower it to {aims.p95_milliseconds}, or raise p95Milliseconds",
        )


def namespace_has_room_for_the_pods(settings: Settings, index: int) -> Iterator[Finding]:
    """A pod beyond quota or limit range is refused, and the autoscaler goes on asking for it."""
    spec = _pods(settings, index)
    namespace = _namespace(settings, spec)
    if spec is None or namespace is None:
        return
    limits = namespace.limits
    containers = {"pod": spec.pod, "capture": spec.capture}
    for container, field, found, most in (
        (container, field, found, most)
        for container, given in containers.items()
        if given is not None
        for field, found, most in (
            ("cpuMillis", given.cpu_millis, limits.max_cpu_millis),
            ("memoryMib", given.memory_mib, limits.max_memory_mib),
        )
    ):
        if found > most:
            yield Finding(
                path=_at(index, container, field),
                found=str(found),
                allowed=f"at most {most}, what one container of {namespace.name} may have",
                remedy=f"lower it, or raise limits of {namespace.name}",
            )
    quota = namespace.quota
    # A rollout brings a new pod before it ends an old one.
    pods = min(quota.cpu * 1000 // spec.cpu_millis, quota.memory_gib * 1024 // spec.memory_mib, quota.pods) - 1
    if spec.autoscaling.max_pods > pods:
        yield Finding(
            path=_at(index, "autoscaling", "maxPods"),
            found=str(spec.autoscaling.max_pods),
            allowed=f"at most {pods}: the quota of {namespace.name} has to hold them and one more during a rollout",
            remedy="lower it, give a pod less, or raise the quota",
        )


def nodes_have_room_for_the_pods(settings: Settings, index: int) -> Iterator[Finding]:
    """Pods that no node has room for wait for ever."""
    spec = _pods(settings, index)
    if spec is None:
        return
    nodes = supply(settings, spec)
    pods = room(nodes)
    if spec.autoscaling.max_pods > pods:
        pools = join(pool.pool for pool in nodes) if nodes else "no pool"
        yield Finding(
            path=_at(index, "autoscaling", "maxPods"),
            found=str(spec.autoscaling.max_pods),
            allowed=f"at most {pods}, what {spec.capacity} nodes without an accelerator have room for ({pools})",
            remedy="lower it, give a pod less, or raise the bounds of a pool",
        )


def more_pods_answer_in_time(settings: Settings, index: int) -> Iterator[Finding]:
    """A server that starts slowly makes a burst wait longer than a new node does."""
    spec = _pods(settings, index)
    most = slowest_start(spec) if spec else 0
    if spec is not None and spec.pod.start_seconds > most:
        yield Finding(
            path=_at(index, "pod", "startSeconds"),
            found=str(spec.pod.start_seconds),
            allowed=f"at most {most}: a pod on a new node has to answer within {CEILING_SECONDS} s",
            remedy="make the model smaller, or serve it where it stays loaded",
        )


def load_balancers_know_what_they_need(settings: Settings, index: int) -> Iterator[Finding]:
    """An Application Load Balancer needs a path to route; a Network Load Balancer sees neither host nor path."""
    spec = _pods(settings, index)
    front = spec.front_end if spec else None
    if front is not None and bool(front.paths) is (front.kind == "nlb"):
        yield Finding(
            path=_at(index, "frontEnd", "paths"),
            found=", ".join(front.paths) if front.paths else "an empty list",
            allowed="at least one for alb, none for nlb",
            remedy="write []" if front.paths else "write [/invocations], or / for all that the server answers",
        )


def namespace_takes_the_load_balancers(settings: Settings, index: int) -> Iterator[Finding]:
    """Beyond the quota the API server refuses a front end; from other subnets its requests do not get through."""
    spec = settings.models[index].pods
    namespace = _namespace(settings, spec)
    if spec is None or namespace is None or spec.front_end is None:
        return
    of_kind = [
        place
        for place in range(index + 1)
        if (other := settings.models[place].pods) is not None
        and other.namespace == spec.namespace
        and other.front_end is not None
        and other.front_end.kind == spec.front_end.kind
    ]
    if len(of_kind) > namespace.quota.load_balancers:
        yield Finding(
            path=_at(index, "frontEnd"),
            found=f"load balancer {len(of_kind)} of {namespace.name}",
            allowed=f"at most {namespace.quota.load_balancers} of each kind, as quota.loadBalancers says",
            remedy=f"raise quota.loadBalancers of {namespace.name}, or write null",
        )
    subnets = _SUBNETS[settings.load_balancing.scheme]
    if namespace.load_balancer_subnets and subnets not in namespace.load_balancer_subnets:
        yield Finding(
            path=_at(index, "frontEnd"),
            found=f"a load balancer in {subnets} subnets",
            allowed=f"{', '.join(namespace.load_balancer_subnets)}: loadBalancerSubnets of {namespace.name}",
            remedy=f"add {subnets} to loadBalancerSubnets of {namespace.name}",
        )


def hosts_differ(settings: Settings, index: int) -> Iterator[Finding]:
    """Each model has a load balancer of its own, and a name in DNS leads to one of them."""
    spec = settings.models[index].pods
    host = spec.front_end.host if spec and spec.front_end else None
    for first in range(index if host else 0):
        other = settings.models[first].pods
        if other and other.front_end and other.front_end.host == host:
            yield Finding(
                path=_at(index, "frontEnd", "host"),
                found=f"{host} again (first in models[{first}])",
                allowed="a host that no other model has",
                remedy="give each model a host of its own",
            )


def requests_in_production_are_encrypted(settings: Settings, index: int) -> Iterator[Finding]:
    """Requests carry the features of real people; without a certificate a load balancer takes them as plain text."""
    model = settings.models[index]
    spec = model.pods
    if spec is None or spec.front_end is None or model.approved is None or not settings.environment.protect_data:
        return
    if not settings.load_balancing.certificate_arns:
        yield Finding(
            path=("loadBalancing", "certificateArns"),
            found="an empty list",
            allowed=f"at least one while {model.name} has an approved version behind a load balancer",
            remedy=f"name the ACM certificate of your domain, or set models[{index}].serving.eks.frontEnd to null",
        )


def _pods(settings: Settings, index: int) -> EksServingSpec | None:
    """What is said of pods, whether they serve or not: a section that waits is one that the switch may point to."""
    serving = settings.models[index].serving
    return serving.eks if serving is not None else None


def _namespace(settings: Settings, spec: EksServingSpec | None) -> NamespaceSpec | None:
    return next((each for each in _for_inference(settings) if spec and each.name == spec.namespace), None)


def _for_inference(settings: Settings) -> list[NamespaceSpec]:
    return [namespace for namespace in all_namespaces(settings) if namespace.workload_type == "inference"]


def _at(index: int, *rest: str | int) -> Path:
    return ("models", index, "serving", "eks", *rest)


def somebody_counts_the_requests(settings: Settings, index: int) -> Iterator[Finding]:
    """An autoscaler that finds no metric takes no pod away any more."""
    spec = settings.models[index].pods
    if spec is not None and spec.autoscaling.requests is not None and settings.monitoring.adapter is None:
        yield Finding(
            path=("monitoring", "adapter"),
            found="nothing",
            allowed=f"a mapping while models[{index}].serving.eks.autoscaling.requests is one",
            remedy=f"describe the adapter, or set models[{index}].serving.eks.autoscaling.requests to null",
        )


def pods_are_added_before_they_are_full(settings: Settings, index: int) -> Iterator[Finding]:
    """A pod answers no more than it was measured to; an average above that is never reached."""
    spec = _pods(settings, index)
    if spec is None or spec.autoscaling.requests is None or spec.autoscaling.requests.metric != "per-second":
        return
    most = spec.pod.requests_per_second
    if spec.autoscaling.requests.per_pod > most:
        yield Finding(
            path=_at(index, "autoscaling", "requests", "perPod"),
            found=str(spec.autoscaling.requests.per_pod),
            allowed=f"at most {most}, what pod.requestsPerSecond says that one pod answers",
            remedy=f"lower it to {most} or less, or measure a pod again",
        )


MODEL_RULES: Final[tuple[ModelRule, ...]] = (
    pods_have_a_namespace,
    answers_in_production_bear_no_interruption,
    fewest_pods_are_below_the_most,
    pods_carry_the_target_load,
    mean_objective_is_below_the_percentile,
    namespace_has_room_for_the_pods,
    nodes_have_room_for_the_pods,
    more_pods_answer_in_time,
    somebody_counts_the_requests,
    pods_are_added_before_they_are_full,
    load_balancers_know_what_they_need,
    namespace_takes_the_load_balancers,
    hosts_differ,
    requests_in_production_are_encrypted,
)
