"""S3: encryption on the way."""

from collections.abc import Iterable, Iterator

from guardrails.documents import Condition, Malformed, Statement, any_action, covers, statements, test
from guardrails.facts import NoFacts
from guardrails.resources import Resource, Stack, identities
from guardrails.rule import Finding, Level, Levels, Severity, StackRule, Undetermined, Violation
from guardrails.view import Missing, Unknown, Value, all_of, any_of

_BUCKET = "aws:s3/bucket:Bucket"
_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
_OLDEST_TLS = 1.2


def _without_tls(condition: Condition) -> bool | None:
    """Whether a condition holds exactly for connections without TLS, or with TLS below 1.2."""
    if condition.operator in {"bool", "boolifexists"} and condition.key == "aws:securetransport":
        return all_of(None if isinstance(value, Unknown) else value.flag() is False for value in condition.values)
    if condition.operator == "numericlessthan" and condition.key == "s3:tlsversion":
        return any_of(
            None if isinstance(value, Unknown) else (value.number() or 0) >= _OLDEST_TLS for value in condition.values
        )
    return False


def _denies_plain_http(statement: Statement) -> bool | None:
    """A Deny to everybody, on every S3 action, under that one condition."""
    conditions = statement.conditions()
    return all_of(
        [
            statement.effect_is("Deny"),
            any_of(test(each, lambda text: text == "*") for each in statement.principals("AWS")),
            statement.matches("Action", lambda action: any_action(action) or action.lower() == "s3:*"),
            None if conditions is None else len(conditions) == 1 and _without_tls(conditions[0]),
        ]
    )


def _cover(denials: Iterable[Statement], bucket: Resource) -> bool | None:
    """Whether statements together cover the bucket and everything in it."""
    patterns = [value for statement in denials for value in statement.each("Resource")]
    names = {name.rpartition(":::")[2] for name in identities(bucket)} or {"a-name-that-is-not-known-yet"}

    def on(suffix: str) -> bool | None:
        return any_of(
            test(value, lambda text: any(covers(text.rpartition(":::")[2], f"{name}{suffix}") for name in names))
            for value in patterns
        )

    both = all_of([on(""), on("/any/object")])
    return None if patterns and not both and not identities(bucket) else both


def _refuses_plain_http(document: Value, bucket: Resource) -> bool | None:
    listed = statements(document)
    if isinstance(listed, Unknown):
        return None
    if isinstance(listed, Malformed):
        return False
    verdicts = [(each, _denies_plain_http(each)) for each in listed]
    sure = _cover([each for each, verdict in verdicts if verdict], bucket)
    perhaps = _cover([each for each, verdict in verdicts if verdict is not False], bucket)
    return True if sure else None if sure is None or perhaps is not False else False


def _check(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    for bucket in stack.of(_BUCKET):
        sides = stack.attached(bucket, _POLICY, "bucket")
        documents = [side.get("policy") for side in sides.sure] or [bucket.given("policy")]
        verdict = any_of(_refuses_plain_http(document, bucket) for document in documents)
        if verdict is None or (not verdict and not sides.sure and sides.maybe):
            yield Undetermined(path="policy", resource=bucket)
        elif not verdict:
            found = "no bucket policy" if isinstance(documents[0], Missing) else "a policy without that"
            wanted = "Deny to * on s3:* when aws:SecureTransport is false, for the bucket and its objects"
            yield Violation(path="policy", found=found, wanted=wanted, resource=bucket)


ENC_02 = StackRule(
    id="ENC-02",
    name="s3-tls-only",
    title="Every bucket refuses connections without TLS",
    tokens=(_BUCKET,),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:S3.5", "soc2:CC6.7", "gdpr:32"),
    why="signed requests over plain HTTP show their data to everybody on the way",
    fix="add an aws.s3.BucketPolicy denying s3:* to * on the bucket and its objects if aws:SecureTransport is false",
    facts=NoFacts,
    check=_check,
    traps=(
        "a Deny on the objects alone leaves the bucket's own calls open",
        "a further condition in the same statement narrows the Deny",
        "NumericLessThan s3:TlsVersion 1.2 or above also counts",
    ),
)
