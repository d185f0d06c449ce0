"""Export and erasure for one person: every version, nobody else's records, a proof that names nobody."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from components.labels import Labels
from operations.proof import BEGUN, ERASED, EXPORTED, Chain, mark, new_receipt
from operations.subject import main
from operations.subject_grants import places_of, policy
from operations.subject_objects import Place, erase, search
from operations.subject_records import Subject, split
from settings.check import load_file
from tests.operations.buckets import DATA, MODELS
from tests.settings.stacks import stack_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

PLACES = (
    Place(DATA, "toy/", learnt_from=True),
    Place(MODELS, "toy/captures/", learnt_from=False),
    Place(MODELS, "toy/truth/", learnt_from=False),
)


def ann() -> Subject:
    return Subject("ann", "passenger")


def put(s3: S3Client, bucket: str, key: str, text: str, **more: Any) -> str:
    return s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="text/csv", **more)["VersionId"]


def texts(s3: S3Client, bucket: str, key: str) -> list[str]:
    """All versions, the newest first."""
    found = s3.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", [])
    versions = [each.get("VersionId", "") for each in found]
    return [s3.get_object(Bucket=bucket, Key=key, VersionId=each)["Body"].read().decode() for each in versions]


def record(identifier: str, *attributes: str) -> str:
    return json.dumps({"eventMetadata": {"inferenceId": identifier, "customAttributes": list(attributes)}}) + "\n"


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=6)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_every_other_row_stays_byte_by_byte_whatever_is_in_it(pairs: list[tuple[str, str]], end: str) -> None:
    def written(rows: list[tuple[str, str]]) -> str:
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
        writer.writerows([("passenger", "y"), *rows])
        return text.getvalue()

    others = [pair for pair in pairs if pair[0] != "ann"]
    mixed = [row for pair in others for row in (("ann", "x\ny"), pair)]
    found = split("a.csv", written(mixed).encode(), ann())
    assert len(found.taken) == len(others)
    assert found.content == (written(others).encode() if others else b"")


def test_records_are_found_in_every_version_and_labels_by_the_names_of_captured_requests(s3: S3Client) -> None:
    put(s3, DATA, "toy/1.csv", "passenger,y\nann,1\nbob,0\n")
    put(s3, DATA, "toy/1.csv", "passenger,y\nbob,0\n")
    put(s3, DATA, "toy/2.csv", "passenger,y\nannabel,1\n")
    put(s3, MODELS, "toy/captures/a/1.jsonl", record("r1", "model_version=1", "x=1, subject=ann") + record("r2"))
    put(s3, MODELS, "toy/truth/1.jsonl", record("r1") + record("r2"))
    found = search(s3, PLACES, ann())

    assert [(each.key, each.latest, each.records) for each in found.found] == [
        ("toy/1.csv", False, 1),
        ("toy/captures/a/1.jsonl", True, 1),
        ("toy/truth/1.jsonl", True, 1),
    ]
    assert found.records[0] == {"object": "toy/1.csv", "record": {"passenger": "ann", "y": "1"}}
    assert found.unread == ()


def test_after_an_erasure_no_version_holds_a_record_and_everybody_else_keeps_theirs(s3: S3Client) -> None:
    put(s3, DATA, "toy/1.csv", "passenger,y\nann,1\nbob,0\n")
    put(s3, DATA, "toy/1.csv", "passenger,y\nann,2\nbob,0\nann,3\n", Metadata={"source": "airline"})
    put(s3, DATA, "toy/gone.csv", "passenger,y\nann,1\n")
    s3.delete_object(Bucket=DATA, Key="toy/gone.csv")
    put(s3, DATA, "toy/only.csv", "passenger,y\nann,1\n")
    put(s3, DATA, "toy/other.csv", "passenger,y\nbob,1\n")
    before = search(s3, PLACES, ann())
    gone, kept = erase(s3, before.found, ann())

    assert (len(gone), kept) == (4, [])
    assert search(s3, PLACES, ann()).found == ()
    assert texts(s3, DATA, "toy/1.csv") == ["passenger,y\nbob,0\n"]
    assert s3.head_object(Bucket=DATA, Key="toy/1.csv")["Metadata"] == {"source": "airline"}
    assert texts(s3, DATA, "toy/gone.csv") == texts(s3, DATA, "toy/only.csv") == []
    assert len(texts(s3, DATA, "toy/other.csv")) == 1
    assert erase(s3, search(s3, PLACES, ann()).found, ann()) == ([], []), "a second run finds nothing to do"


def test_rows_of_requests_have_no_header_and_are_found_by_a_cell(s3: S3Client) -> None:
    (rows,) = [each for each in places_of(LABELS, MODEL) if each.prefix.endswith("/rows/")]
    place = Place(MODELS, "toy/rows/", learnt_from=rows.learnt_from, header=rows.header)
    put(s3, MODELS, "toy/rows/1.csv", "ann,1\nbob,2\nann,3\nannabel,4\n")
    found = search(s3, [place], ann())
    assert [each["record"] for each in found.records] == [{"row": ["ann", "1"]}, {"row": ["ann", "3"]}]
    erase(s3, found.found, ann())
    assert texts(s3, MODELS, "toy/rows/1.csv") == ["bob,2\nannabel,4\n"]


def test_labels_that_cannot_go_yet_keep_the_captures_by_which_they_are_found(s3: S3Client) -> None:
    put(s3, MODELS, "toy/captures/1.jsonl", record("r1", "subject=ann") + record("r3"))
    put(s3, MODELS, "toy/captures/2.jsonl", record("r2", "subject=ann"))
    held = put(s3, MODELS, "toy/truth/1.jsonl", record("r1"))
    s3.put_object_legal_hold(Bucket=MODELS, Key="toy/truth/1.jsonl", VersionId=held, LegalHold={"Status": "ON"})
    subject = ann()
    _, kept = erase(s3, search(s3, PLACES, subject).found, subject)
    assert [(each.key, each.retained) for each in kept] == [
        ("toy/captures/1.jsonl", "labels that are found by it cannot go yet"),
        ("toy/truth/1.jsonl", "legal hold"),
    ]
    assert texts(s3, MODELS, "toy/captures/1.jsonl")[0] == record("r3")

    s3.put_object_legal_hold(Bucket=MODELS, Key="toy/truth/1.jsonl", VersionId=held, LegalHold={"Status": "OFF"})
    subject = ann()
    gone, kept = erase(s3, search(s3, PLACES, subject).found, subject)
    assert (len(gone), kept, texts(s3, MODELS, "toy/truth/1.jsonl")) == (2, [], [])


def test_what_is_retained_or_held_stays_and_is_told_and_the_newest_version_is_clean(s3: S3Client) -> None:
    until = datetime.now(UTC) + timedelta(days=30)
    put(
        s3,
        DATA,
        "toy/1.csv",
        "passenger,y\nann,1\nbob,0\n",
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=until,
    )
    held = put(s3, DATA, "toy/2.csv", "passenger,y\nann,1\nbob,0\n")
    s3.put_object_legal_hold(Bucket=DATA, Key="toy/2.csv", VersionId=held, LegalHold={"Status": "ON"})
    gone, kept = erase(s3, search(s3, PLACES, ann()).found, ann())

    assert gone == []
    assert [(each.key, each.retained[:10]) for each in kept] == [
        ("toy/1.csv", f"{until:%Y-%m-%d}"),
        ("toy/2.csv", "legal hold"),
    ]
    assert [texts(s3, DATA, each.key)[0] for each in kept] == ["passenger,y\nbob,0\n"] * 2


def test_an_object_that_somebody_changed_meanwhile_is_not_overwritten(s3: S3Client) -> None:
    put(s3, DATA, "toy/1.csv", "passenger,y\nann,1\nbob,0\n")
    found = search(s3, PLACES, ann()).found
    put(s3, DATA, "toy/1.csv", "passenger,y\nbob,0\ncarl,1\n")
    with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
        erase(s3, found, ann())
    assert texts(s3, DATA, "toy/1.csv")[0] == "passenger,y\nbob,0\ncarl,1\n"


def test_what_cannot_be_searched_is_named(s3: S3Client) -> None:
    put(s3, DATA, "toy/1.parquet", "PAR1")
    put(s3, MODELS, "toy/captures/1.jsonl", "no JSON")
    first, second = search(s3, PLACES, ann()).unread
    assert first.startswith(f"s3://{DATA}/toy/1.parquet: no Parquet file that can be read")
    assert second.startswith(f"s3://{MODELS}/toy/captures/1.jsonl: ")


MALFORMED = {
    "a cell that goes on behind its quotes": b'1,"a"b,3\n',
    "a cell without an end": b'1,"a\n2,b\n',
    "a cell that is too long": b"1," + b"a" * 131_073 + b"\n",
}


@pytest.mark.parametrize("prefix", ["rows/", "data/"])
@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_csv_that_cannot_be_read_is_named_and_refuses_no_export(
    environment: S3Client, capsys: pytest.CaptureFixture[str], tmp_path: Path, prefix: str, content: bytes
) -> None:
    key = f"{MODEL.name}/{prefix}1.csv"
    text = "" if prefix == "rows/" else "y,passenger,x\n"
    put(environment, LABELS.bucket("models"), key, text + content.decode())
    name = f"s3://{LABELS.bucket('models')}/{key}: no CSV that can be read: "
    code, said = run(capsys, *ERASE)
    assert (code, name in said) == (2, True)
    words = ("--action", "export", "--subject", "ann", "--column", "passenger", "--out", str(tmp_path / "ann.json"))
    code, said = run(capsys, *words)
    assert (code, f"not searched: {name}" in said) == (0, True)


def test_a_row_that_ends_before_the_column_and_json_without_bottom_cannot_be_searched(s3: S3Client) -> None:
    put(s3, DATA, "toy/1.csv", "y,passenger\n1,ann\n0\n")
    put(s3, MODELS, "toy/truth/1.jsonl", "[" * 100_000)
    first, second = search(s3, PLACES, ann()).unread
    assert first == f"s3://{DATA}/toy/1.csv: line 3: cells: 1, and passenger is number 2"
    assert second == f"s3://{MODELS}/toy/truth/1.jsonl: JSON that is nested too deeply"


@pytest.mark.parametrize("break_", ["\u2028", "\u2029", "\x85", "\r\n"])
def test_only_the_ends_of_lines_end_a_captured_record(break_: str) -> None:
    other = json.dumps({"eventMetadata": {"inferenceId": "r2"}, "data": f"a{break_}b"}, ensure_ascii=False) + "\n"
    found = split("1.jsonl", (record("r1", "subject=ann") + other).encode(), ann())
    assert (len(found.taken), found.content) == (1, other.encode())


def test_a_proof_names_nobody_without_the_receipt_and_a_changed_one_shows(s3: S3Client) -> None:
    chain = Chain(s3, MODELS, "toy/privacy/")
    receipts = [new_receipt() for _ in range(3)]
    for receipt, action in zip(receipts, (EXPORTED, BEGUN, EXPORTED), strict=True):
        chain.add({"action": action}, "ann", receipt)
    contents = [json.loads(text) for number in (1, 2, 3) for text in texts(s3, MODELS, f"toy/privacy/{number:08}.json")]

    assert chain.problems() == ["the erasure of record 2 was begun and has no end"]
    chain.add({"action": ERASED}, "ann", receipts[1])
    assert chain.problems() == []
    assert "ann" not in json.dumps(contents)
    assert [each["subject"] for each in contents] == [mark(receipt, "ann") for receipt in receipts]
    assert len({each["subject"] for each in contents}) == 3, "two records about one person do not look alike"
    contents[1]["at"] = "yesterday"
    put(s3, MODELS, "toy/privacy/00000002.json", json.dumps(contents[1]))
    assert chain.problems() == ["record 3 does not follow the one before it"]
    s3.delete_object(Bucket=MODELS, Key="toy/privacy/00000002.json")
    assert chain.problems()[0] == "record 2 does not follow the one before it"


def test_two_runs_at_a_time_do_not_write_the_same_record(s3: S3Client) -> None:
    Chain(s3, MODELS, "toy/privacy/").add({}, "ann", new_receipt())
    late = cast("Any", Chain(s3, MODELS, "toy/privacy/"))
    late._contents = list[bytes]
    with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
        late.add({}, "bob", new_receipt())


STACK = load_file(stack_file("dev"))
LABELS = Labels(STACK.environment)
(MODEL,) = STACK.models
ACCOUNT_OF = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "MOTO_ACCOUNT_ID": STACK.environment.account_id,
}


def client(service: str) -> Any:
    return get_session().create_client(service, region_name=STACK.environment.region)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    """Buckets, bus and key of environment `dev`, with somebody's records."""
    for name, value in ACCOUNT_OF.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        s3 = cast("S3Client", client("s3"))
        for kind in ("data", "models"):
            s3.create_bucket(Bucket=LABELS.bucket(kind))
            s3.put_bucket_versioning(Bucket=LABELS.bucket(kind), VersioningConfiguration={"Status": "Enabled"})
        key = f"{MODEL.dataset_prefix}train/1.csv"
        put(s3, LABELS.bucket("data"), key, "passenger,y\nann,1\nbob,0\n")
        put(s3, LABELS.bucket("models"), f"{MODEL.name}/captures/a/1.jsonl", record("r1", "subject=ann"))
        client("events").create_event_bus(Name=LABELS.event_bus)
        yield s3


def heard() -> Any:
    """A queue that hears what is said on the bus."""
    queue = client("sqs").create_queue(QueueName="heard")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["slipway"]})
    client("events").put_rule(Name="all", EventBusName=LABELS.event_bus, EventPattern=pattern)
    client("events").put_targets(Rule="all", EventBusName=LABELS.event_bus, Targets=[{"Id": "1", "Arn": arn}])
    return queue


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["--stack", "dev", *words])
    found = capsys.readouterr()
    return code, found.out + found.err


NOTES = f"{MODEL.name}/erasures/"
ERASE = ("--action", "erase", "--subject", "ann", "--column", "passenger")


def test_an_erasure_shows_first_removes_on_confirmation_and_asks_for_a_training(
    environment: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    queue, key = heard(), f"{MODEL.dataset_prefix}train/1.csv"
    code, shown = run(capsys, *ERASE)
    assert (code, texts(environment, LABELS.bucket("data"), key)) == (0, ["passenger,y\nann,1\nbob,0\n"])
    confirmed = shown.rpartition("CONFIRM=")[2].strip()
    assert run(capsys, *ERASE, "--confirm", "0" * 12)[1] == shown, "another confirmation changes nothing"
    code, said = run(capsys, *ERASE, "--confirm", confirmed)

    assert code == 0
    assert texts(environment, LABELS.bucket("data"), key) == ["passenger,y\nbob,0\n"]
    assert texts(environment, LABELS.bucket("models"), f"{MODEL.name}/captures/") == []
    (message,) = client("sqs").receive_message(QueueUrl=queue)["Messages"]
    event = json.loads(message["Body"])
    assert (event["source"], event["detail-type"]) == ("slipway", "Retraining Requested")
    assert event["detail"].keys() == {"model", "reason", "requestedBy", "token"}
    assert "ann" not in message["Body"].replace("retraining", "")
    assert "receipt " in said
    assert not environment.list_object_versions(Bucket=LABELS.bucket("models"), Prefix=NOTES).get("Versions")
    assert run(capsys, "--action", "verify") == (0, f"{MODEL.name}: the chain of proofs is whole\n")


def test_an_export_holds_every_record_and_is_written_for_its_owner_alone(
    environment: S3Client, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    half = f"{MODEL.name}/rows/1"
    put(environment, LABELS.bucket("models"), half, '{"instances": [["ann", "\\ud800"]]}')
    target = tmp_path / "ann.json"
    words = ("--action", "export", "--subject", "ann", "--column", "passenger", "--out", str(target))
    assert run(capsys, *words)[0] == 0
    rows, asked, captured = [each["record"] for each in json.loads(target.read_text())[MODEL.name]]
    assert (rows["y"], asked, "y" in captured) == ("1", {"row": ["ann", "\ud800"]}, False)
    assert target.stat().st_mode & 0o777 == 0o600
    code, said = run(capsys, *words)
    assert (code, "File exists" in said) == (2, True), "an export is never written over another"
    assert environment.list_objects_v2(Bucket=LABELS.bucket("models"), Prefix=f"{MODEL.name}/proofs/")["KeyCount"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--action", "erase"), "erase needs a subject"),
        (("--action", "export", "--subject", "ann"), "export needs a file"),
        (("--action", "verify", "--model", "churn"), f"dev has no model churn; there are: {MODEL.name}"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    code, text = run(capsys, *words)
    assert (code, text.startswith(said)) == (2, True)


def test_local_which_calls_no_account_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stack", "local", *ERASE]) == 2
    assert capsys.readouterr().err.startswith("local is on this machine and about nobody")


def test_nothing_is_erased_while_something_cannot_be_searched(
    environment: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    put(environment, LABELS.bucket("data"), f"{MODEL.dataset_prefix}train/2.parquet", "PAR1")
    code, said = run(capsys, *ERASE)
    assert (code, "2.parquet" in said) == (2, True)


def test_the_role_reaches_the_prefixes_of_the_model_and_can_change_no_proof() -> None:
    document = json.loads(policy(LABELS, [MODEL], "arn:aws:kms:us-east-1:123456789012:key/1"))
    statements: list[dict[str, Any]] = document["Statement"]
    reached = {one: each["Action"] for each in statements for one in _listed(each["Resource"])}
    assert "*" not in reached
    assert not any("Bypass" in action for each in statements for action in _listed(each["Action"]))
    proofs = [action for one, actions in reached.items() if "/proofs/" in one for action in _listed(actions)]
    assert proofs
    assert not any("Delete" in action for action in proofs)


def _listed(value: Any) -> list[str]:
    return cast("list[str]", value) if isinstance(value, list) else [value]
