"""The `serving` of a model, one example for each target, as `docs/serving-targets.md` shows them."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Example:
    """One way to serve a model."""

    what: str
    """When to write it."""
    text: str
    """YAML, as it stands in an entry of `slipway:models`."""


EXAMPLES: Final = (
    Example(
        "**Real-time**, with what callers send, against which target and instances are judged",
        """\
      serving:
        target: real-time
        requests:
          largestMb: 1
          longestSeconds: 2
          peakPerMinute: 12000
          usualMilliseconds: 5
          immediate: true              # callers wait for the answer
          coldStarts: false            # and not until something is started for them
        realTime:
          instanceType: ml.m5.large
          instances: 2                 # one in each of two zones
          scaling:
            maxInstances: 6
            requestsPerMinute: 6000    # measured, of one instance; or null, and cpuPercent
            cpuPercent: null
            scaleInSeconds: 300
            scaleOutSeconds: 60
          capturePercent: 20           # 0 keeps nothing; drift is found in it
          rollout:                     # the new fleet stands beside the old one
            shift: canary              # or linear, or all-at-once with stepPercent: null
            stepPercent: 10
            waitSeconds: 600           # alarms are watched so long after each step
            terminationWaitSeconds: 300
            timeoutSeconds: 3600
            maxErrorPercent: 1.0       # beyond it an alarm takes the version back; the same with the two times
            maxModelMilliseconds: 100
            maxOverheadMilliseconds: 50
          logRetentionDays: 90
""",
    ),
    Example(
        "**Serverless**, where data are not protected",
        """\
      serving:
        target: serverless
        serverless:
          memoryMb: 2048
          maxConcurrency: 20           # more requests at once are refused
          provisionedConcurrency: null # or how many of them never meet a cold start, and are paid all the time
          outsideVpc: true             # says that this is known
          logRetentionDays: 90
""",
    ),
    Example(
        "**Asynchronous**, without an instance while the queue is empty",
        """\
      serving:
        target: asynchronous
        requests: {largestMb: 10, longestSeconds: 600, peakPerMinute: 10, usualMilliseconds: 9000,
          immediate: false, coldStarts: true}
        asynchronous:
          instanceType: ml.m5.large
          minInstances: 0
          maxInstances: 3
          backlogPerInstance: 5        # requests in the queue for each instance that scaling keeps
          concurrency: 4
          scaleInSeconds: 300
          scaleOutSeconds: 60
          rollout: {shift: canary, stepPercent: 50, waitSeconds: 600, terminationWaitSeconds: 300,
            timeoutSeconds: 3600, maxErrorPercent: 1.0, maxModelMilliseconds: 60000, maxOverheadMilliseconds: null}
          logRetentionDays: 90
""",
    ),
    Example(
        "**Batch**",
        """\
      serving:
        target: batch
        batch: {instanceType: ml.m5.large, instances: 1, payloadMb: 6, concurrency: 4, timeoutSeconds: 60, retries: 1}
""",
    ),
    Example(
        "**A fleet**: many models of one kind behind a real-time endpoint, each asked by the name of its archive",
        """\
      serving:
        target: real-time
        hosting:
          fleet: {prefix: fleet/, memoryMib: 2048}
          row: null
        realTime:
          instanceType: ml.m5.large
          instances: 2
          scaling: null                # a fixed number
          capturePercent: 0            # captures of several models are one stream
          rollout: {shift: linear, stepPercent: 50, waitSeconds: 300, terminationWaitSeconds: 300,
            timeoutSeconds: 3600, maxErrorPercent: 1.0, maxModelMilliseconds: 100, maxOverheadMilliseconds: null}
          logRetentionDays: 90
""",
    ),
    Example(
        "**A row**: several containers on each instance, here one that prepares what the approved version is asked",
        """\
      serving:
        target: real-time
        hosting:
          fleet: null
          row:
            mode: serial               # or direct: a request picks one by name
            containers:
              - name: before
                imageDigest: sha256:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd
              - {name: model, imageDigest: null}
        realTime:
          instanceType: ml.m5.large
          instances: 2
          scaling: null
          capturePercent: 0
          rollout: {shift: canary, stepPercent: 50, waitSeconds: 600, terminationWaitSeconds: 300,
            timeoutSeconds: 3600, maxErrorPercent: 1.0, maxModelMilliseconds: 200, maxOverheadMilliseconds: null}
          logRetentionDays: 90
""",
    ),
)
"""Each is taken in place of the `serving` of the entry in `docs/models.md`; a test holds that."""
