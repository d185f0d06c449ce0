"""Whether a property names a key of ours."""

from collections.abc import Iterator

from guardrails.resources import Resource
from guardrails.rule import Finding, Undetermined, Violation, show
from guardrails.view import Unknown, Value

MANAGED = "alias/aws/"
"""How the aliases of keys begin that AWS manages."""


def own_key(holder: Value, name: str, *, at: Resource | None = None) -> Iterator[Finding]:
    """`holder` names a key under `name`, and not one that AWS manages.

    A key that is not known yet is some resource's, so ours; a holder that is not known yet may name none.
    """
    key = holder.child(name)
    if isinstance(holder, Unknown):
        yield Undetermined(path=key.path, resource=at)
    elif not isinstance(key, Unknown) and (not key.text() or MANAGED in (key.text() or "")):
        yield Violation(path=key.path, found=show(key), wanted="the ARN of a key of ours", resource=at)
