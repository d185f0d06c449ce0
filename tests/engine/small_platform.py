"""A small program with named and unnamed resources in four levels, for tests of the engine and the sandbox."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class SmallPlatform:
    """What a test may change between two updates."""

    zones: tuple[str, ...] = ("a", "b")
    third_octet: int = 0
    retention_days: int = 30
    secret: str = "correct horse battery staple"  # noqa: S105 - a canary, not a credential

    def __call__(self) -> None:
        provider = aws.Provider("aws", region="eu-west-1", allowed_account_ids=["123456789012"])
        opts = pulumi.ResourceOptions(provider=provider)
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=opts)
        subnets = [
            aws.ec2.Subnet(
                f"subnet-{zone}",
                vpc_id=vpc.id,
                cidr_block=f"10.0.{self.third_octet + index}.0/24",
                availability_zone=f"eu-west-1{zone}",
                opts=opts,
            )
            for index, zone in enumerate(self.zones)
        ]
        for zone, subnet in zip(self.zones, subnets, strict=True):
            address = aws.ec2.Eip(f"address-{zone}", domain="vpc", opts=opts)
            aws.ec2.NatGateway(f"nat-{zone}", subnet_id=subnet.id, allocation_id=address.id, opts=opts)
        bucket = aws.s3.Bucket("data", bucket="test-123456789012-data", opts=opts)
        aws.s3.BucketVersioning(
            "versioning",
            bucket=bucket.id,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=opts,
        )
        aws.cloudwatch.LogGroup("logs", name="/test/logs", retention_in_days=self.retention_days, opts=opts)
        pulumi.export("vpc", vpc.id)
        pulumi.export("password", pulumi.Output.secret(self.secret))


SIZE = 10
"""Resources of the default platform that a cloud would see."""
