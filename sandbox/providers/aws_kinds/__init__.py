"""How the AWS resource types of the platform behave.

Ids, ARNs and endpoints have the shape that AWS documents for each service (Service Authorization Reference, API
references). Immutable inputs are those that the provider replaces a resource for; times are what AWS or the provider
publish as usual. A type without a row here is refused, so that no plan is made of guesses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.providers.aws_kinds import (
    builds,
    cluster,
    events,
    functions,
    identity,
    network,
    sagemaker,
    spending,
    storage,
    store,
)

if TYPE_CHECKING:
    from sandbox.providers.kinds import Kind

KINDS: Final[dict[str, Kind]] = {
    **network.KINDS,
    **identity.KINDS,
    **store.KINDS,
    **cluster.KINDS,
    **events.KINDS,
    **builds.KINDS,
    **functions.KINDS,
    **sagemaker.KINDS,
    **spending.KINDS,
    **storage.KINDS,
}
