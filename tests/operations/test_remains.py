"""What a cluster has left, asked of the AWS APIs on loopback; and a destroy that waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.session import get_session

from operations import orphans, teardown
from operations.remains import Remains, WrongAccountError
from sandbox.account import empty_account, reached_by_default
from sandbox.engine import Engine, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT, REGION, CLUSTER = "123456789012", "eu-central-1", "slipway-local"
OURS, THEIRS = CLUSTER, "another"


@pytest.fixture
def endpoint() -> Iterator[str]:
    with empty_account(ACCOUNT) as address, reached_by_default(address):
        yield address


def client(service: str, region: str) -> Any:
    return get_session().create_client(service, region_name=region)


def make_load_balancer(name: str, cluster: str) -> str:
    ec2, balancing = client("ec2", REGION), client("elbv2", REGION)
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{index}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"]
        for index, zone in enumerate("ab")
    ]
    made = balancing.create_load_balancer(
        Name=name,
        Subnets=[subnet["SubnetId"] for subnet in subnets],
        Tags=[{"Key": "elbv2.k8s.aws/cluster", "Value": cluster}],
    )
    return made["LoadBalancers"][0]["LoadBalancerArn"]


@pytest.mark.loop
def test_only_load_balancers_and_nodes_of_the_cluster_count(endpoint: str) -> None:
    del endpoint
    ec2 = client("ec2", REGION)
    for cluster in (OURS, THEIRS):
        make_load_balancer(f"k8s-{cluster}", cluster)
        tags = [
            {"Key": f"kubernetes.io/cluster/{cluster}", "Value": "owned"},
            {"Key": "karpenter.sh/nodepool", "Value": "burst-cpu"},
        ]
        ec2.run_instances(
            ImageId="ami-12345678",
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )
    remains = Remains.connect(OURS, ACCOUNT, REGION)
    assert remains.load_balancers() == [f"k8s-{OURS}"]
    (node,) = remains.nodes()
    ec2.terminate_instances(InstanceIds=[node])
    assert remains.nodes() == []
    assert any(f"loadbalancer/app/k8s-{OURS}" in arn for arn in remains.owned())
    assert not any(THEIRS in arn for arn in remains.owned())


@pytest.mark.loop
def test_only_interfaces_of_the_pod_network_that_nobody_uses_are_free(endpoint: str) -> None:
    del endpoint
    ec2 = client("ec2", REGION)
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    made = {
        text: ec2.create_network_interface(SubnetId=subnet, Description=text)["NetworkInterface"]["NetworkInterfaceId"]
        for text in ("aws-K8S-i-0123456789abcdef0", "somebody else's")
    }
    assert Remains.connect(OURS, ACCOUNT, REGION).free_interfaces(subnet) == [made["aws-K8S-i-0123456789abcdef0"]]


@pytest.mark.loop
def test_credentials_of_another_account_are_refused(endpoint: str) -> None:
    del endpoint
    with pytest.raises(WrongAccountError, match="belong to account 123456789012, the stack to 777788889999"):
        Remains.connect(OURS, "777788889999", REGION)


@pytest.mark.loop
def test_orphans_are_listed_by_stack(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    del endpoint
    assert orphans.main(["--stack", "local"]) == 0
    region = "us-east-1"
    client("ec2", region).create_volume(
        AvailabilityZone=f"{region}a",
        Size=1,
        TagSpecifications=[
            {"ResourceType": "volume", "Tags": [{"Key": f"kubernetes.io/cluster/{OURS}", "Value": "owned"}]}
        ],
    )
    capsys.readouterr()
    assert orphans.main(["--stack", "local"]) == 1
    assert "1 resources carry its tag" in capsys.readouterr().out
    assert orphans.main(["--stack", "prod"]) == 2
    assert "log in to 777788889999" in capsys.readouterr().err


@pytest.mark.engine
@pytest.mark.usefixtures("state_written_once")
def test_a_destroy_stops_at_what_controllers_left_and_goes_on_when_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teardown, "PATIENCE_SECONDS", 0.0)
    engine = Engine(tmp_path / "sandbox", "local")
    engine.up()
    with empty_account(ACCOUNT) as address:
        with reached_by_default(address):
            ec2 = client("ec2", engine.outputs()["region"].value)
            (node,) = ec2.run_instances(
                ImageId="ami-12345678",
                MinCount=1,
                MaxCount=1,
                TagSpecifications=[
                    {
                        "ResourceType": "instance",
                        "Tags": [
                            {"Key": f"kubernetes.io/cluster/{OURS}", "Value": "owned"},
                            {"Key": "karpenter.sh/nodepool", "Value": "burst-cpu"},
                        ],
                    }
                ],
            )["Instances"]
        with pytest.raises(EngineError, match=r"1 nodes of Karpenter are left after 0 s: i-.*destroy again"):
            engine.destroy(aws_endpoint=address)
        left = {record.urn.rpartition("$")[2] for record in engine.world().all()}
        assert "kubernetes:helm.sh/v3:Release::karpenter-controller" in left, "it alone ends its nodes"
        assert "aws:eks/cluster:Cluster::cluster-control-plane-eksCluster" in left
        with reached_by_default(address):
            ec2.terminate_instances(InstanceIds=[node["InstanceId"]])
        engine.destroy(aws_endpoint=address)
    assert engine.world().all() == []
