"""The estimate: a pure function of a plan, settings, assumptions and prices.

Each line is rounded to cents, halves away from zero, and every sum is the sum of rounded lines, so that a printed table
adds up. Prices are list prices: no free tier, tax, credit, savings plan or volume discount is taken off.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from costs.band import Band, total
from costs.meters import METERS
from costs.meters.base import Context, Gap, Use
from costs.meters.free import why_free
from costs.meters.machines import training, watching
from costs.meters.network import ENVIRONMENT, unplanned
from costs.meters.serving import batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from costs.data import Assumption
    from costs.meters.base import Finding
    from costs.plan import Planned
    from costs.prices import Prices
    from costs.usage import Usage
    from settings.model import Settings

COST_CENTER_TAG: Final = "CostCenter"
"""Tag by which AWS allocates costs (`components.labels`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an estimate is for, and who pays."""

    environment: str
    """Name of the environment."""
    region: str
    """AWS region."""
    cost_center: str
    """Pays for what carries no tag of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that costs money."""

    component: str
    """Component that it belongs to."""
    resource: str
    """Logical name of the resource, or of the model or environment."""
    meter: str
    """What is counted, in a word; with component and resource, the line's identity from one plan to the next."""
    what: str
    """What is counted, for people."""
    quantity: Band
    """How many units a month."""
    unit: str
    """Unit of quantity and price."""
    price: Band
    """US dollars per unit; a band where it is spot capacity."""
    monthly: Band
    """US dollars a month, in cents."""
    assumption: str
    """Key of the assumption behind the quantity; empty where the plan decides it."""
    cost_center: str
    """Who pays."""
    source: str
    """Key of the price's source."""
    type: str
    """Type of the resource; empty of jobs and traffic, which no plan holds."""
    run: Band
    """US dollars that one run of a pipeline pays for it at most, in cents; nothing of what belongs to no run."""

    @property
    def fixed(self) -> bool:
        """Whether the plan alone decides the quantity."""
        return not self.assumption

    @property
    def identity(self) -> tuple[str, str, str]:
        """What names this line in two estimates."""
        return self.component, self.resource, self.meter


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPriced:
    """One thing that is not in the sum."""

    component: str
    """Component that it belongs to."""
    resource: str
    """Logical name of the resource."""
    what: str
    """What is missing."""
    why: str
    """What would have to be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What an environment costs a month."""

    place: Place
    """Where and who."""
    on: date
    """The day that it is for."""
    lines: tuple[Line, ...]
    """What is priced, ordered by component, resource and meter."""
    not_priced: tuple[NotPriced, ...]
    """What is not, in the same order."""
    assumptions: dict[str, Assumption]
    """The assumptions that lines use, by key."""

    @property
    def monthly(self) -> Band:
        """The sum of all lines."""
        return total([line.monthly for line in self.lines])

    @property
    def fixed(self) -> Band:
        """The sum of the lines that the plan alone decides."""
        return total([line.monthly for line in self.lines if line.fixed])

    @property
    def usage(self) -> Band:
        """The sum of the lines that an assumption decides."""
        return total([line.monthly for line in self.lines if not line.fixed])

    @property
    def by_component(self) -> dict[str, Band]:
        """Component → sum of its lines."""
        return grouped_sums((line.component, line.monthly) for line in self.lines)

    @property
    def by_cost_center(self) -> dict[str, Band]:
        """Cost centre → sum of its lines."""
        return grouped_sums((line.cost_center, line.monthly) for line in self.lines)


def estimate(resources: Sequence[Planned], settings: Settings, usage: Usage, prices: Prices, *, on: date) -> Estimate:
    """Return what an environment costs a month.

    Args:
        resources: Its plan.
        settings: Its settings: place, cost centre and jobs.
        usage: What a month is assumed to bring.
        prices: The price table.
        on: The day that it is for; decides which support a Kubernetes version is in.
    """
    environment = settings.environment
    place = Place(environment=environment.name, region=environment.region, cost_center=environment.cost_center)
    context = Context(usage=usage, on=on, resources={resource.urn: resource for resource in resources})
    payer = place.cost_center
    running = [
        *(
            _Found("training", model.name, payer, item)
            for model in settings.models
            for item in training(model, context)
        ),
        *(_Found("drift", model.name, payer, item) for model in settings.models for item in watching(model, context)),
        *(_Found("serving", model.name, payer, item) for model in settings.models for item in batches(model, context)),
        *(_Found("network", ENVIRONMENT, payer, item) for item in unplanned(context)),
    ]
    return _priced([*_metered(resources, place, context), *running], place, context, prices)


def bill(resources: Sequence[Planned], place: Place, usage: Usage, prices: Prices, *, on: date) -> Estimate:
    """Return what resources cost a month by themselves: `estimate` without jobs and traffic of an environment."""
    context = Context(usage=usage, on=on, resources={resource.urn: resource for resource in resources})
    return _priced(_metered(resources, place, context), place, context, prices)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a meter found, and for whom."""

    component: str
    resource: str
    payer: str
    finding: Finding
    type: str = ""

    def priced(self, place: Place, prices: Prices) -> Line | NotPriced:
        """Return the finding with its price, or what is missing."""
        finding = self.finding
        if isinstance(finding, Gap):
            return self._gap(finding.what, finding.why)
        price = prices.of(place.region, finding.price, finding.discount)
        if price is None:
            return self._gap(finding.what, f"no price {finding.price} in {place.region}")
        return Line(
            component=self.component,
            resource=self.resource,
            meter=finding.meter,
            what=finding.what,
            quantity=finding.quantity,
            unit=price.unit,
            price=price.amount,
            monthly=(finding.quantity * price.amount).in_cents(),
            assumption=finding.assumption,
            cost_center=self.payer,
            source=price.source,
            type=self.type,
            run=price.amount.times(finding.run).in_cents(),
        )

    def _gap(self, what: str, why: str) -> NotPriced:
        return NotPriced(component=self.component, resource=self.resource, what=what, why=why)


def _metered(resources: Iterable[Planned], place: Place, context: Context) -> Iterator[_Found]:
    for resource in resources:
        for finding in _findings(resource, context):
            payer = resource.tags.get(COST_CENTER_TAG, place.cost_center)
            yield _Found(resource.component, resource.name, payer, finding, resource.type)


def _findings(resource: Planned, context: Context) -> Iterator[Finding]:
    meter = METERS.get(resource.type)
    if meter is not None:
        yield from meter(resource, context)
    elif why_free(resource.type) is None:
        yield Gap(what=resource.type, why="nobody has said what this type costs")


def _priced(found: Iterable[_Found], place: Place, context: Context, prices: Prices) -> Estimate:
    counted = [item for item in found if not (isinstance(item.finding, Use) and not item.finding.quantity.high)]
    outcomes = [item.priced(place, prices) for item in counted]
    lines = [outcome for outcome in outcomes if isinstance(outcome, Line)]
    gaps = [outcome for outcome in outcomes if isinstance(outcome, NotPriced)]
    used = sorted({line.assumption for line in lines} - {""})
    return Estimate(
        place=place,
        on=context.on,
        lines=tuple(sorted(lines, key=lambda line: line.identity)),
        not_priced=tuple(sorted(gaps, key=lambda gap: (gap.component, gap.resource, gap.what))),
        assumptions={key: context.usage.get(key) for key in used},
    )


def grouped_sums(parts: Iterable[tuple[str, Band]]) -> dict[str, Band]:
    """Name → sum of its parts, by name."""
    grouped: defaultdict[str, list[Band]] = defaultdict(list)
    for name, band in parts:
        grouped[name].append(band)
    return {name: total(grouped[name]) for name in sorted(grouped)}
