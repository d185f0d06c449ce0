"""An erasure that is interrupted at any call is ended by the same command: nothing is left, one training asked."""

from __future__ import annotations

import json
from functools import cache
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.client import BaseClient
from botocore.session import get_session
from moto import mock_aws

from components.labels import DATA, MODELS, Labels
from components.model_places import ModelPlaces
from operations import subject, subject_objects
from operations.proof import BEGUN, ERASED, Chain
from operations.subject_grants import places_of
from retraining.events import Reader
from settings.check import load_file
from tests.settings.stacks import stack_file

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from operations.subject_records import Subject
    from retraining.facts import Fact, ModelSettings

STACK = load_file(stack_file("dev"))
LABELS = Labels(STACK.environment)
(MODEL,) = STACK.models
PLACES = ModelPlaces(LABELS, MODEL)
WORDS = ("--stack", "dev", "--subject", "ann", "--column", "passenger", "--action")


class KilledError(BaseException):
    """Nothing is done after it."""


class Calls:
    """Kills whoever has made a certain call that changes something, and hears what is put on the bus.

    Calls that only read leave what the change before them left, so that a kill at one of them is the same.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, self.heard = -1, list[dict[str, Any]]()
        patched = cast("Any", BaseClient)
        asked = patched._make_api_call

        def ask(client: BaseClient, name: str, parameters: dict[str, Any]) -> object:
            answer = asked(client, name, parameters)
            if name == "PutEvents":
                self.heard += parameters["Entries"]
            if name.startswith(("Put", "Delete")):
                self.left -= 1
                if self.left == 0:
                    raise KilledError
            return answer

        monkeypatch.setattr(patched, "_make_api_call", ask)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The account of environment `dev`, asked by clients that are made once."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("MOTO_ACCOUNT_ID", STACK.environment.account_id)
    monkeypatch.setattr(subject, "get_session", lambda: SimpleNamespace(create_client=client))
    return monkeypatch


@cache
def client(service: str, region_name: str = STACK.environment.region) -> Any:
    return get_session().create_client(service, region_name=region_name)


def filled() -> S3Client:
    """Buckets with somebody's records in every place, two of them in versions that are not the newest."""
    s3 = cast("S3Client", client("s3"))
    for kind in (DATA, MODELS):
        s3.create_bucket(Bucket=LABELS.bucket(kind))
        s3.put_bucket_versioning(Bucket=LABELS.bucket(kind), VersioningConfiguration={"Status": "Enabled"})
    rows, about = "passenger,y\nann,1\nbob,0\n", line("r1", "subject=ann")
    put(s3, DATA, f"{MODEL.dataset_prefix}train/1.csv", rows)
    put(s3, DATA, f"{MODEL.dataset_prefix}train/1.csv", rows)
    put(s3, MODELS, f"{PLACES.data}1/train.csv", rows)
    put(s3, MODELS, f"{PLACES.rows}1.csv", "ann,1\n")
    put(s3, MODELS, f"{PLACES.captures}a/1.jsonl", about + line("r2"))
    put(s3, MODELS, f"{PLACES.captures}a/2.jsonl", line("r3", "subject=ann"))
    put(s3, MODELS, f"{PLACES.truth}1.jsonl", line("r1") + line("r2") + line("r3"))
    client("events").create_event_bus(Name=LABELS.event_bus)
    return s3


def line(identifier: str, *attributes: str) -> str:
    return json.dumps({"eventMetadata": {"inferenceId": identifier, "customAttributes": list(attributes)}}) + "\n"


def put(s3: S3Client, kind: str, key: str, text: str) -> None:
    s3.put_object(Bucket=LABELS.bucket(kind), Key=key, Body=text.encode(), ContentType="text/csv")


def run(capsys: pytest.CaptureFixture[str], action: str, *words: str) -> tuple[int, str]:
    code = subject.main([*WORDS, action, *words])
    found = capsys.readouterr()
    return code, found.out + found.err


def lines_about(s3: S3Client) -> list[str]:
    """Labels and records of the person in any version, whether or not anything still tells that they are theirs."""
    found = list[str]()
    for kind in (DATA, MODELS):
        for each in s3.list_object_versions(Bucket=LABELS.bucket(kind)).get("Versions", []):
            key, version = each.get("Key", ""), each.get("VersionId", "")
            text = s3.get_object(Bucket=LABELS.bucket(kind), Key=key, VersionId=version)["Body"].read().decode()
            if not key.startswith(PLACES.proofs):
                found += [one for one in text.splitlines() if "ann" in one or '"r1"' in one or '"r3"' in one]
    return found


def read(entries: list[dict[str, Any]]) -> list[Fact]:
    """What the door of retraining makes of what was put on the bus."""
    models = {MODEL.name: cast("ModelSettings", None)}
    events = [
        {
            "id": str(number),
            "source": each["Source"],
            "detail-type": each["DetailType"],
            "time": "-",
            "detail": json.loads(each["Detail"]),
        }
        for number, each in enumerate(entries)
    ]
    return [cast("Fact", Reader(models, "slipway-").read(event, 0.0)) for event in events]


def test_an_erasure_that_is_killed_after_any_change_is_ended_by_the_same_command(
    account: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls, killed_begun, survived = Calls(account), 0, False
    for place in count(1):
        with mock_aws():
            s3 = filled()
            calls.heard.clear()
            confirmed = run(capsys, "erase")[1].rpartition("CONFIRM=")[2].strip()
            calls.left = place
            try:
                run(capsys, "erase", "--confirm", confirmed)
                survived = True
            except KilledError:
                pass
            calls.left = -1
            killed_begun += run(capsys, "verify")[0] == 2
            code, said = run(capsys, "erase", "--confirm", confirmed)
            assert (code, lines_about(s3)) == (0, []), f"call {place}: {said}"
            assert len({fact.id for fact in read(calls.heard)}) == 1, f"call {place}: one training, however often asked"
            assert run(capsys, "verify")[0] == 0, f"call {place}"
            assert not s3.list_object_versions(Bucket=LABELS.bucket(MODELS), Prefix=PLACES.erasures).get("Versions")
            ended = said_by_proofs(s3)[-1]
            assert (ended["action"], len(ended["versions"])) == ("erased", 7), f"call {place}"
        if survived:
            break
    assert killed_begun == 13, "the beginning, four cleaned versions, seven that go, and the request"


def said_by_proofs(s3: S3Client) -> list[dict[str, Any]]:
    return [json.loads(content) for content in cast("Any", Chain(s3, LABELS.bucket(MODELS), PLACES.proofs))._contents()]


def test_what_somebody_wrote_after_the_interruption_is_shown_before_it_goes(
    account: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace, key = cast("Any", subject_objects)._replace, f"{MODEL.dataset_prefix}train/1.csv"

    def write_first(s3: S3Client, each: subject_objects.Found, about: Subject) -> None:
        account.setattr(subject_objects, "_replace", replace)
        put(s3, DATA, key, "passenger,y\nann,1\ncarl,0\n")
        replace(s3, each, about)

    with mock_aws():
        s3 = filled()
        confirmed = run(capsys, "erase")[1].rpartition("CONFIRM=")[2].strip()
        account.setattr(subject_objects, "_replace", write_first)
        code, said = run(capsys, "erase", "--confirm", confirmed)
        assert (code, "PreconditionFailed" in said, run(capsys, "verify")[0]) == (2, True, 2)
        code, said = run(capsys, "erase", "--confirm", confirmed)
        assert (code, "nothing is erased yet" in said, len(lines_about(s3)) > 0) == (0, True, True)
        assert run(capsys, "erase", "--confirm", said.rpartition("CONFIRM=")[2].strip())[0] == 0
        assert (lines_about(s3), run(capsys, "verify")[0]) == ([], 0)
        assert s3.get_object(Bucket=LABELS.bucket(DATA), Key=key)["Body"].read() == b"passenger,y\ncarl,0\n"
        assert places_of(LABELS, MODEL)[-1].prefix == PLACES.truth


@pytest.mark.parametrize("kills", [1, 3])
def test_rows_that_come_after_a_training_was_asked_for_are_proven_and_ask_for_another(
    account: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kills: int
) -> None:
    """Each kill comes after the request, before the end is recorded."""
    calls, prove, key = Calls(account), cast("Any", subject)._Request.prove, f"{MODEL.dataset_prefix}train/2.csv"

    def killed(request: Any, model: Any, receipt: str, action: str, **what: object) -> str:
        if action == ERASED:
            raise KilledError
        return prove(request, model, receipt, action, **what)

    with mock_aws():
        s3 = filled()
        for _ in range(kills):
            confirmed = run(capsys, "erase")[1].rpartition("CONFIRM=")[2].strip()
            account.setattr(cast("Any", subject)._Request, "prove", killed)
            for _ in range(2):
                with pytest.raises(KilledError):
                    run(capsys, "erase", "--confirm", confirmed)
            account.setattr(cast("Any", subject)._Request, "prove", prove)
            put(s3, DATA, key, "passenger,y\nann,1\ncarl,0\n")
            capsys.readouterr()
        shown = run(capsys, "erase")[1]
        assert run(capsys, "erase", "--confirm", shown.rpartition("CONFIRM=")[2].strip())[0] == 0
        assert (lines_about(s3), run(capsys, "verify")[0]) == ([], 0)
        begun, ended = said_by_proofs(s3)[-2:]
        assert (begun["action"], ended["action"], len(ended["versions"])) == (BEGUN, ERASED, 7 + kills)
        assert begun["versions"] == ended["versions"]
        assert json.loads(shown.splitlines()[0]) == ended["versions"][-1]
        assert len(said_by_proofs(s3)) == kills + 2, "a command that is repeated begins nothing anew"
    assert [fact.id for fact in read(calls.heard)][::2] == list(dict.fromkeys(fact.id for fact in read(calls.heard)))
    assert len(calls.heard) == 2 * kills + 1
