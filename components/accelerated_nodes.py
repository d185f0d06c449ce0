"""What a managed node with several network cards or divided GPUs is started with, as pure functions of settings."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import pulumi_aws as aws

if TYPE_CHECKING:
    import pulumi

_BOUNDARY: Final = "slipway"

_PARTITION: Final = """\
#!/bin/bash
# Runs once, before the node joins. Partitions do not outlive a restart, so a unit makes them at every start.
set -euo pipefail
install -m 0755 /dev/stdin /usr/local/sbin/partition-gpus <<'SCRIPT'
#!/bin/bash
set -euo pipefail
nvidia-smi -mig 1
# Ampere GPUs change their mode at a restart only; newer ones have changed it by now.
if nvidia-smi --query-gpu=mig.mode.current --format=csv,noheader | grep --quiet --invert-match Enabled; then
  systemctl reboot
  sleep infinity
fi
for gpu in $(nvidia-smi --query-gpu=index --format=csv,noheader); do
  for _ in $(seq {count}); do
    nvidia-smi mig -i "$gpu" -cgi {profile} -C
  done
done
SCRIPT
cat >/etc/systemd/system/partition-gpus.service <<'UNIT'
[Unit]
Description=Divide the GPUs into partitions of {profile}
Before=nodeadm-run.service kubelet.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/partition-gpus
[Install]
WantedBy=multi-user.target
RequiredBy=kubelet.service
UNIT
systemctl daemon-reload
systemctl enable --now partition-gpus.service
"""
"""Commands of `nvidia-smi` as NVIDIA's Multi-Instance GPU user guide gives them, "Getting Started with MIG"."""


def partition_gpus(profile: str, count: int) -> str:
    """User data that divides each GPU of a node into `count` partitions of the MIG profile `profile`.

    A multipart document, as EKS and Karpenter merge it with their own for Amazon Linux 2023 (EKS user guide,
    "Customize managed nodes with launch templates"; Karpenter, "NodeClasses", `spec.userData`).
    """
    script = _PARTITION.replace("{profile}", profile).replace("{count}", str(count))
    return "\n".join(
        (
            "MIME-Version: 1.0",
            f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"',
            "",
            f"--{_BOUNDARY}",
            'Content-Type: text/x-shellscript; charset="us-ascii"',
            "",
            f"{script}--{_BOUNDARY}--",
            "",
        )
    )


def encoded(user_data: str) -> str:
    """User data as a launch template takes it."""
    return base64.b64encode(user_data.encode()).decode()


def network_interfaces(adapters: int, group: pulumi.Input[str]) -> list[aws.ec2.LaunchTemplateNetworkInterfaceArgs]:
    """Network interfaces of a node with Elastic Fabric Adapters: one for IP traffic, and the adapters.

    Each adapter sits on a network card of its own; on the first card it shares that with the primary interface, which
    may not be one (EC2 guide, "Maximize network bandwidth on Amazon EC2 instances with multiple network cards").
    Subnets are the node group's.

    Args:
        adapters: How many the instance type has.
        group: Security group of every interface; adapters need one that lets everything through to itself, both ways.
    """
    places = [("interface", 0, 0), *(("efa-only", card, 0 if card else 1) for card in range(adapters))]
    return [
        aws.ec2.LaunchTemplateNetworkInterfaceArgs(
            interface_type=kind,
            network_card_index=card,
            device_index=device,
            security_groups=[group],
            associate_public_ip_address="false" if kind == "interface" else None,
            delete_on_termination="true",
        )
        for kind, card, device in places
    ]
