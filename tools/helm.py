"""Charts rendered by the real Helm, without a cluster and without what a user's own Helm is set up with."""

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60.0
SERVED = (
    "monitoring.coreos.com/v1",
    *(f"monitoring.coreos.com/v1/{kind}" for kind in ("PodMonitor", "PrometheusRule", "ServiceMonitor")),
)
"""What a cluster serves beside Kubernetes' own when charts are installed; some leave out objects where it does not."""


class ChartError(Exception):
    """Helm does not render a chart with these values; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    """One Helm, rendering for one version of Kubernetes."""

    program: Path
    kubernetes: str
    """Version, such as `1.35.4`, that charts believe to be installed on."""

    def template(self, chart: Path, values: str, *, name: str, namespace: str, crds: bool = False) -> str:
        """The manifests of a release of a chart, as `helm template` writes them.

        Args:
            chart: Folder or archive of the chart, dependencies included.
            values: Values of the release, as JSON.
            name: Name of the release.
            namespace: Namespace of the release.
            crds: Whether the chart's folder `crds/` is part of it.

        Raises:
            ChartError: Helm refuses the values, or the chart's templates do.
        """
        words = ["template", name, str(chart), f"--namespace={namespace}", "--values=-"]
        words += [f"--api-versions={served}" for served in SERVED]
        words += [f"--kube-version=v{self.kubernetes}", "--include-crds" if crds else "--skip-crds"]
        return self._run(words, values)

    def versions(self, chart: Path) -> Mapping[str, str]:
        """`version` of a chart and `appVersion`, the version of what it installs, as far as it names them.

        Raises:
            ChartError: It is no chart.
        """
        described = self._run(["show", "chart", str(chart)], "")
        return dict(re.findall(r"""^(version|appVersion): ["']?([^"'\s]+)""", described, re.MULTILINE))

    def _run(self, words: list[str], values: str) -> str:
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run(  # noqa: S603 - Helm as set-up built it or the user has it, without a shell
                [str(self.program), *words],
                input=values,
                env={"PATH": os.environ["PATH"], "HOME": home},
                capture_output=True,
                text=True,
                check=False,
                timeout=SECONDS,
            )
        if done.returncode:
            raise ChartError(done.stderr.strip())
        return done.stdout
