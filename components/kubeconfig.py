"""A kubeconfig that holds no credential: the client asks AWS for a token at every use."""

from __future__ import annotations

import json


def exec_kubeconfig(cluster: str, region: str, endpoint: str, certificate_authority: str) -> str:
    """A kubeconfig as JSON.

    The token comes from `aws eks get-token` (AWS CLI 2) with whatever credentials the caller's environment has; no
    profile and no role is written down, so the text is the same for everybody.

    Args:
        cluster: Name of the EKS cluster.
        region: Region of the cluster.
        endpoint: URL of the API server.
        certificate_authority: The API server's CA certificate, PEM in base64, as EKS answers it.
    """
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": cluster, "cluster": {"server": endpoint, "certificate-authority-data": certificate_authority}}
            ],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
            "current-context": cluster,
            "users": [
                {
                    "name": cluster,
                    "user": {
                        "exec": {
                            "apiVersion": "client.authentication.k8s.io/v1beta1",
                            "command": "aws",
                            "args": [
                                "eks",
                                "get-token",
                                "--cluster-name",
                                cluster,
                                "--region",
                                region,
                                "--output",
                                "json",
                            ],
                            "interactiveMode": "Never",
                        }
                    },
                }
            ],
        },
        separators=(",", ":"),
    )
