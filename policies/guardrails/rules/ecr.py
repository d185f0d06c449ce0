"""ECR: images that cannot change, are scanned, and do not pile up."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from guardrails.documents import Malformed, Statement, statements, test
from guardrails.facts import NoFacts
from guardrails.resources import Resource, Stack
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    ResourceRule,
    Severity,
    StackRule,
    Undetermined,
    decide,
    require,
    require_attached,
)
from guardrails.view import Missing, Unknown, Value, all_of, any_of

_REPOSITORY = "aws:ecr/repository:Repository"
_POLICY = "aws:ecr/repositoryPolicy:RepositoryPolicy"
_LIFECYCLE = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
_SCANNING = "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration"
_EXCLUSION = "IMMUTABLE_WITH_EXCLUSION"


def _open_to_all(statement: Statement) -> bool | None:
    everybody = any_of(test(each, lambda text: text == "*") for each in statement.principals("AWS"))
    bare = isinstance(statement.element("Condition"), Missing)
    return all_of([statement.effect_is("Allow"), everybody, bare])


def _check_resource(resource: Resource, _: NoFacts) -> Iterator[Finding]:
    if resource.token == _POLICY:
        listed = statements(resource.get("policy"))
        if isinstance(listed, Unknown | Malformed):
            yield Undetermined(path="policy")
            return
        for statement in listed:
            answer = _open_to_all(statement)
            opposite = None if answer is None else not answer
            yield from decide(opposite, statement.value, found="Allow to everybody", wanted="named principals")
        return
    mutability = resource.get("imageTagMutability")
    yield from require(mutability, lambda value: value.text() in {"IMMUTABLE", _EXCLUSION}, "IMMUTABLE")
    if mutability.text() == _EXCLUSION:
        filters = resource.select("imageTagMutabilityExclusionFilters[*].filter")
        narrow = all_of(test(each, lambda text: bool(text.strip("*"))) for each in filters)
        place = resource.get("imageTagMutabilityExclusionFilters")
        yield from decide(
            bool(filters) and narrow, place, found="no filter, or one for every tag", wanted="narrow filters"
        )


def _remedy(repository: Resource, _: NoFacts) -> Mapping[tuple[str, ...], object]:
    scan = repository.get("imageScanningConfiguration.scanOnPush")
    if repository.token != _REPOSITORY or isinstance(scan, Unknown) or scan.flag():
        return {}
    return {("imageScanningConfiguration", "scanOnPush"): True}


SUP_03 = ResourceRule(
    id="SUP-03",
    name="ecr-immutable",
    title="Tags of image repositories cannot be moved, and nobody may pull without a name",
    tokens=(_REPOSITORY, _POLICY),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.REMEDIATE, prod=Level.MANDATORY),
    frameworks=("fsbp:ECR.2", "cis-eks:5.1.2", "soc2:CC8.1"),
    why="a tag that can move lets tomorrow's pod run something that nobody reviewed",
    fix="set image_tag_mutability IMMUTABLE, and name principals in repository policies",
    facts=NoFacts,
    check=_check_resource,
    remedy=_remedy,
    traps=(
        "IMMUTABLE_WITH_EXCLUSION counts when its filters leave out something",
        "the remedy turns scanning on push on, which the stack half of this rule asks for",
    ),
)


def _registry_scans(stack: Stack, repository: Resource) -> bool | None:
    """Whether the registry itself scans a repository: continuously or on push, by a filter that covers it."""
    return any_of(
        all_of(
            [
                test(rule.child("scanFrequency"), lambda text: text in {"SCAN_ON_PUSH", "CONTINUOUS_SCAN"}),
                any_of(_filtered(each, repository) for each in rule.select("repositoryFilters[*].filter")),
            ]
        )
        for each in stack.of(_SCANNING)
        for rule in each.select("rules[*]")
    )


def _filtered(pattern: Value, repository: Resource) -> bool | None:
    """Whether a filter covers a repository: as a pattern, or without wildcards as a part of its name."""
    name, text = repository.get("name").text(), pattern.text()
    if text is not None and not text.strip("*"):
        return True
    if text is None or name is None:
        return None
    return fnmatchcase(name, text) if "*" in text else text in name


def _check_stack(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    for repository in stack.of(_REPOSITORY):
        scan = repository.given("imageScanningConfiguration.scanOnPush")
        answer = any_of(
            [None if isinstance(scan, Unknown) else scan.flag() is True, _registry_scans(stack, repository)]
        )
        fix = "set image_scanning_configuration.scan_on_push, or add aws.ecr.RegistryScanningConfiguration"
        yield from decide(answer, scan, found="no scanning", wanted="images scanned on push", at=repository, fix=fix)
        sides = stack.attached(repository, _LIFECYCLE, "repository")
        yield from require_attached(sides, found="no lifecycle policy", wanted="a LifecyclePolicy", at=repository)


SUP_03_STACK = StackRule(
    id="SUP-03",
    name="ecr-scanned-and-expiring",
    title="Image repositories are scanned and expire old images",
    tokens=(_REPOSITORY,),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:ECR.1", "fsbp:ECR.3", "cis-eks:5.1.1", "soc2:CC7.1"),
    why="unscanned images hide known holes, and images nobody removes are paid for and deployed again",
    fix="add aws.ecr.LifecyclePolicy for the repository",
    facts=NoFacts,
    check=_check_stack,
    traps=("the registry's own scanning configuration also counts",),
)
