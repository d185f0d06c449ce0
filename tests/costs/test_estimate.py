from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from costs.band import Band, total
from costs.estimate import Estimate, Place, bill, estimate
from costs.meters import METERS
from costs.meters.free import FREE, why_free
from costs.plan import PlanError, Planned, from_export
from costs.prices import price_table
from costs.report import table
from costs.units import runs
from costs.usage import Quantity, usage_of
from settings.check import load_file
from tests.settings.stacks import STACKS, stack_file
from tests.support.planned import made_up, nodes, plan_of, usage_for_all

TODAY = date(2026, 11, 22)
NOT_PLANS: list[object] = [[], {}, {"deployment": {}}, {"deployment": {"resources": [{}]}}, "text", None]
PLACE = Place(environment="test", region="us-east-1", cost_center="research")


def estimated(stack: str, on: date = TODAY) -> Estimate:
    return estimate(plan_of(stack), load_file(stack_file(stack)), usage_of(stack), price_table(), on=on)


def billed(*resources: Planned, place: Place = PLACE, on: date = TODAY) -> Estimate:
    return bill(resources, place, usage_for_all(), price_table(), on=on)


@pytest.mark.parametrize("stack", STACKS)
def test_somebody_has_said_of_every_resource_type_what_it_costs_or_why_nothing(stack: str) -> None:
    types = {resource.type for resource in plan_of(stack)}
    assert len(types) > 40
    assert [token for token in sorted(types) if token not in METERS and why_free(token) is None] == []


def test_no_type_is_both_counted_and_free() -> None:
    assert [token for token in METERS if why_free(token) is not None] == []
    assert all(len(reason) > 20 for reason in FREE.values())


def test_a_type_that_nobody_has_spoken_of_is_reported_and_not_counted_as_nothing() -> None:
    found = billed(made_up("aws:rds/cluster:Cluster", "database", {}))
    (gap,) = found.not_priced
    assert (gap.resource, gap.what, gap.why) == (
        "database",
        "aws:rds/cluster:Cluster",
        "nobody has said what this type costs",
    )
    assert found.lines == ()


@pytest.mark.parametrize("stack", STACKS)
def test_of_an_environment_everything_has_a_price_and_an_assumption_but_disks_of_processing_hosts(
    stack: str,
) -> None:
    gaps = {(gap.component, gap.what.split(",")[0], gap.why) for gap in estimated(stack).not_priced}
    assert gaps == {("training", "disks of processing hosts", "no price was found")}


def test_a_run_of_a_pipeline_costs_at_most_every_job_for_as_long_as_it_may_take() -> None:
    settings, found = load_file(stack_file("prod")), estimated("prod")
    (model,) = settings.models
    host = Decimal("0.23")  # ml.m5.xlarge
    training = Decimal(model.training.max_runtime_seconds) / 3600
    checks = Decimal(2 * model.processing.max_runtime_seconds) / 3600
    disk = training * model.training.volume_gib * Decimal("0.14") / 730
    (run,) = runs(found).values()
    assert float(run.low) == pytest.approx(float(training * host * Decimal("0.1") + checks * host + disk), abs=0.02)
    assert float(run.high) == pytest.approx(float(training * host * Decimal("0.58") + checks * host + disk), abs=0.02)
    shown = table(found, price_table()).partition("A run of a model's pipeline, at most\n")[2].splitlines()[0]
    assert shown.split()[:2] == [model.name, f"{run.expected:.2f}"]


def test_the_disks_of_spaces_have_the_default_size_at_least_and_the_largest_at_most() -> None:
    (line,) = [each for each in estimated("dev").lines if each.meter == "spaces"]
    spaces = usage_of("dev").of(Quantity.NOTEBOOK_SPACES, "studio")
    assert spaces is not None
    band = spaces[1].band
    assert line.quantity == Band(band.low * 5, band.expected * 5, band.high * 20)
    assert line.price == Band.exactly("0.14")


@pytest.mark.parametrize("stack", STACKS)
def test_every_sum_is_the_sum_of_the_lines(stack: str) -> None:
    found = estimated(stack)
    assert len(found.lines) > 15
    assert found.monthly.expected > 100
    for parts in (found.by_component, found.by_cost_center):
        assert total(list(parts.values())) == found.monthly
    assert found.fixed + found.usage == found.monthly
    assert all(line.quantity.is_exact for line in found.lines if line.fixed)


@pytest.mark.parametrize("stack", STACKS)
def test_the_environment_stays_below_its_ceiling(stack: str) -> None:
    assert estimated(stack).monthly.expected < load_file(stack_file(stack)).budget.monthly_usd


def test_environment_local_is_assumed_to_have_no_load() -> None:
    found = estimated("local")
    assert found.usage.high == 0
    assert found.fixed.expected > 0


def test_the_lines_of_prod_name_what_the_source_names() -> None:
    # 003: $73 a month for the cluster, nodes as EC2 and EBS, data transfer.
    lines = {(line.component, line.resource, line.meter): line for line in estimated("prod").lines}
    assert lines["cluster", "cluster-control-plane", "control-plane"].monthly == Band.exactly("73.00")
    cpu = lines["nodepools", "pools-cpu", "nodes"]
    assert cpu.monthly == Band.exactly(Decimal("0.192") * 3 * 730)
    assert lines["nodepools", "pools-cpu", "nodes-disk"].monthly == Band.exactly("24.00")
    assert lines["network", "environment", "internet"].monthly.expected > 0
    assert [line.source for line in lines.values() if line.source not in price_table().sources] == []


def test_extended_support_costs_six_times_as_much_and_only_where_it_is_asked_for() -> None:
    def control_plane(support: str, on: date) -> Band:
        inputs = {"version": "1.35", "upgradePolicy": {"supportType": support}}
        return billed(made_up("eks:index:Cluster", "cluster", inputs), on=on).monthly

    last = date(2027, 3, 27)
    after = date(2027, 3, 28)
    assert control_plane("EXTENDED", last) == control_plane("STANDARD", after) == Band.exactly("73.00")
    assert control_plane("EXTENDED", after) == Band.exactly("438.00")


def test_a_cluster_is_counted_once_though_the_component_registers_two_resources() -> None:
    inputs = {"version": "1.35", "upgradePolicy": {"supportType": "STANDARD"}}
    component = made_up("eks:index:Cluster", "cluster", inputs)
    child = made_up("eks:index:Cluster$aws:eks/cluster:Cluster", "cluster-eksCluster", inputs)
    alone = made_up("aws:eks/cluster:Cluster", "other", inputs)
    child = Planned(urn=child.urn, type="aws:eks/cluster:Cluster", name=child.name, inputs=inputs)
    assert billed(component, child).monthly == Band.exactly("73.00")
    assert billed(alone).monthly == Band.exactly("73.00")


def test_a_version_without_a_known_end_of_support_is_not_priced() -> None:
    (gap,) = billed(made_up("eks:index:Cluster", "cluster", {"version": "1.21"})).not_priced
    assert gap.why == "no end of standard support is known for Kubernetes 1.21"


@pytest.mark.parametrize(
    ("addon", "values", "lines"),
    [
        ("amazon-cloudwatch-observability", '{"containerInsights": {"enabled": true}}', ["observations"]),
        ("amazon-cloudwatch-observability", None, ["observations"]),
        ("amazon-cloudwatch-observability", '{"containerInsights": {"enabled": false}}', []),
        ("coredns", None, []),
    ],
)
def test_an_add_on_is_paid_for_what_container_insights_observe(
    addon: str, values: str | None, lines: list[str]
) -> None:
    found = billed(made_up("aws:eks/addon:Addon", "x", {"addonName": addon, "configurationValues": values}))
    assert [line.what.split(" ")[0] for line in found.lines] == lines
    assert found.not_priced == ()


def test_an_interface_endpoint_is_paid_per_zone_and_a_gateway_endpoint_not_at_all() -> None:
    inputs = {"vpcEndpointType": "Interface", "subnetIds": ["a", "b", "c"]}
    endpoint, *_ = billed(made_up("aws:ec2/vpcEndpoint:VpcEndpoint", "sts", inputs)).lines[::-1]
    assert endpoint.monthly == Band.exactly("21.90")
    gateway = billed(made_up("aws:ec2/vpcEndpoint:VpcEndpoint", "s3", {"vpcEndpointType": "Gateway"}))
    assert (gateway.lines, gateway.not_priced) == ((), ())


def test_an_endpoint_of_sagemaker_is_paid_by_its_hosts_and_a_configuration_alone_not() -> None:
    variant = {"variantName": "all", "instanceType": "ml.m5.xlarge", "initialInstanceCount": 2}
    configuration = made_up(
        "aws:sagemaker/endpointConfiguration:EndpointConfiguration", "c", {"productionVariants": [variant]}
    )
    endpoint = made_up("aws:sagemaker/endpoint:Endpoint", "e", {}, endpointConfigName=configuration)
    assert billed(configuration).lines == ()
    assert billed(configuration, endpoint).monthly == Band.exactly(Decimal("0.23") * 2 * 730)


def test_a_pool_with_an_assumption_is_paid_for_its_least_and_for_what_is_assumed_beyond() -> None:
    template, group = nodes("cpu", "m6i.xlarge", 3)
    group.inputs["scalingConfig"]["minSize"] = 2
    usage = usage_for_all()
    more = usage.model_copy(
        update={"quantities": {**usage.quantities, Quantity.NODES: usage.quantities[Quantity.ELASTIC_NODES]}}
    )
    found = bill((template, group), PLACE, more, price_table(), on=TODAY)
    hours = {line.meter: line.quantity for line in found.lines if line.unit == "hour"}
    assert hours == {"nodes": Band.exactly(2 * 730), "more-nodes": Band(Decimal(0), Decimal(0), Decimal(730))}


def test_a_resource_with_a_tag_of_its_own_is_paid_by_that_cost_centre() -> None:
    theirs = made_up("aws:kms/key:Key", "theirs", {"tags": {"CostCenter": "production"}})
    assert billed(theirs, made_up("aws:kms/key:Key", "ours", {})).by_cost_center.keys() == {"production", "research"}


def test_a_region_without_a_price_is_reported() -> None:
    place = Place(environment="test", region="eu-central-1", cost_center="research")
    found = billed(made_up("aws:ec2/natGateway:NatGateway", "nat", {}), place=place)
    assert {gap.why for gap in found.not_priced} == {
        "no price vpc.nat in eu-central-1",
        "no price vpc.nat.data in eu-central-1",
    }
    assert found.lines == ()


def test_a_quantity_that_nobody_assumed_is_reported() -> None:
    usage = usage_for_all(without=frozenset({Quantity.BUCKET_STORAGE}))
    found = bill((made_up("aws:s3/bucket:Bucket", "data", {}),), PLACE, usage, price_table(), on=TODAY)
    assert [gap.why for gap in found.not_priced] == ["no assumption bucketStorage for data"]
    assert {line.meter for line in found.lines} == {"writes", "reads"}


def test_a_line_is_rounded_to_cents_with_halves_away_from_zero() -> None:
    assert Band.exactly("0.005").in_cents() == Band.exactly("0.01")
    assert Band.exactly("0.0049").in_cents() == Band.exactly("0.00")


def test_a_band_that_does_not_ascend_is_refused() -> None:
    with pytest.raises(ValueError, match="do not ascend"):
        Band(Decimal(2), Decimal(1), Decimal(3))


def test_a_plan_is_read_as_the_engine_exports_it() -> None:
    urn = "urn:pulumi:dev::slipway::slipway:store:ArtifactStore$aws:kms/key:Key::store-key"
    stack = {"urn": "urn:pulumi:dev::slipway::pulumi:pulumi:Stack::slipway-dev", "type": "pulumi:pulumi:Stack"}
    key: dict[str, object] = {"urn": urn, "type": "aws:kms/key:Key", "propertyDependencies": {"tags": None}}
    resources: list[object] = [stack, key, {**key, "delete": True}]
    (found,) = from_export({"version": 3, "deployment": {"resources": resources}})
    assert (found.component, found.name, found.property_dependencies) == ("store", "store-key", {"tags": []})


@pytest.mark.parametrize("content", NOT_PLANS)
def test_what_is_no_plan_is_refused_with_the_command_that_writes_one(content: object) -> None:
    with pytest.raises(PlanError, match="`make plan` writes one"):
        from_export(content)
