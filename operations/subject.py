"""What is known about one person: `python -m operations.subject --action export --subject ann --stack prod`.

`export` writes every record to a file; `erase` first shows what it would remove and, called again with what it showed,
removes it from all versions, leaves a proof, and asks for the models to be trained again; `verify` checks the proofs;
`policy` prints the policy of a role that may do all this.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from components.labels import MODELS, Labels
from components.model_places import ModelPlaces
from operations.proof import BEGUN, ERASED, EXPORTED, Chain, mark, new_receipt
from operations.subject_grants import places_of, policy
from operations.subject_notes import Notes
from operations.subject_objects import Found, Search, erase, search
from operations.subject_records import Subject
from settings.check import load_file
from settings.problems import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

    from settings.model import ModelSpec, Settings

ROOT = Path(__file__).resolve().parent.parent
LOCAL = (
    "local is on this machine and about nobody: it holds the flights of 2013, and make down removes all of it; "
    "name another environment, such as STACK=prod"
)
BROKEN, LATER = 2, 3
"""Exit codes: something is wrong; something could not be erased yet."""
SOURCE, RETRAIN = "slipway", "Retraining Requested"


class RefusedError(Exception):
    """What was asked for cannot be done as it is; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    settings: Settings
    labels: Labels
    subject: Subject
    models: Sequence[ModelSpec]
    out: str
    confirm: str
    clients: dict[str, Any] = field(default_factory=dict[str, Any])
    """By service; a client takes longer to make than most calls do."""

    def client(self, service: str) -> Any:  # noqa: ANN401 - each caller knows which client it asks for
        if service not in self.clients:
            region = self.settings.environment.region
            self.clients[service] = get_session().create_client(service, region_name=region)
        return self.clients[service]

    @property
    def s3(self) -> S3Client:
        return cast("S3Client", self.client("s3"))

    def search(self, model: ModelSpec) -> Search:
        return search(self.s3, places_of(self.labels, model), self.subject)

    def chain(self, model: ModelSpec) -> Chain:
        return Chain(self.s3, self.labels.bucket(MODELS), ModelPlaces(self.labels, model).proofs)

    def notes(self, model: ModelSpec) -> Notes:
        return Notes(self.s3, self.labels.bucket(MODELS), ModelPlaces(self.labels, model).erasures)

    def open(self, model: ModelSpec) -> list[str]:
        """Receipts of the subject's erasures that were interrupted."""
        return list(self.notes(model).receipts(self.subject.key))

    def begun(self, model: ModelSpec, receipt: str) -> dict[str, Any] | None:
        """What is recorded of an erasure that has no end."""
        return self.chain(model).begun(mark(receipt, self.subject.key))

    def prove(self, model: ModelSpec, receipt: str, action: str, **what: object) -> str:
        """Leave a proof; where it lies."""
        record: dict[str, Any] = {
            "action": action,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "environment": self.settings.environment.name,
            "model": model.name,
            "requestedBy": self.caller,
            **what,
        }
        return self.chain(model).add(record, self.subject.key, receipt)

    @property
    def caller(self) -> str:
        """ARN of whoever runs this."""
        return cast("STSClient", self.client("sts")).get_caller_identity()["Arn"]


def main(arguments: Sequence[str]) -> int:
    """Do one action and return the exit code."""
    try:
        action, request = _parse(arguments)
        said, code = ACTIONS[action](request)
    except (SettingsError, RefusedError, FileExistsError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return BROKEN
    sys.stdout.write("".join(f"{line}\n" for line in said))
    return code


def _parse(arguments: Sequence[str]) -> tuple[str, _Request]:
    parser = argparse.ArgumentParser(prog="python -m operations.subject", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--action", required=True, choices=sorted(ACTIONS))
    parser.add_argument("--stack", required=True, help="environment")
    parser.add_argument("--subject", default="", help="what the person is called in the data")
    parser.add_argument("--column", default="", help="column of the data sets that holds it; without it, captures only")
    parser.add_argument("--model", default="", help="name of the model; all of the environment otherwise")
    parser.add_argument("--out", default="", help="file that the export is written to")
    parser.add_argument("--confirm", default="", help="what `erase` showed at the end")
    options = parser.parse_args(arguments)
    if options.stack == "local":
        raise RefusedError(LOCAL)
    settings = load_file(ROOT / f"Pulumi.{options.stack}.yaml")
    models = [model for model in settings.models if options.model in ("", model.name)]
    if not models:
        known = ", ".join(model.name for model in settings.models) or "none"
        raise RefusedError(f"{options.stack} has no model {options.model}; there are: {known}")
    if options.action in NEED_SUBJECT and not options.subject:
        raise RefusedError(f"{options.action} needs a subject: what the person is called in the data")
    subject = Subject(options.subject, options.column)
    labels = Labels(settings.environment)
    return options.action, _Request(
        settings=settings, labels=labels, subject=subject, models=models, out=options.out, confirm=options.confirm
    )


def _export(request: _Request) -> tuple[list[str], int]:
    if not request.out:
        raise RefusedError("export needs a file to write to: OUT=<file>")
    found = {model.name: request.search(model) for model in request.models}
    target = Path(request.out)
    target.touch(mode=0o600, exist_ok=False)
    text = json.dumps({name: list(each.records) for name, each in found.items()}, indent=1, ensure_ascii=False)
    target.write_text(text, "utf-8", "backslashreplace")  # half a pair of surrogates, which is JSON and no UTF-8
    said = [f"{name}: {len(each.records)} records" for name, each in found.items()]
    said += [f"not searched: {name}" for each in found.values() for name in each.unread]
    receipt = new_receipt()
    for model in request.models:
        said.append(request.prove(model, receipt, EXPORTED, records=len(found[model.name].records)))
    return [*said, f"wrote {target}, which you alone can read", _handed_on(receipt)], 0


def _erase(request: _Request) -> tuple[list[str], int]:
    """Erase what was confirmed, or go on with an erasure that was interrupted, of which everything is known."""
    going_on = list(dict.fromkeys(one for model in request.models for one in request.open(model)))
    found = {model.name: request.search(model) for model in request.models}
    if unread := [name for each in found.values() for name in each.unread]:
        raise RefusedError("nothing is erased, because these cannot be searched:\n" + "\n".join(unread))
    if not _confirmed(request, found, going_on):
        said = [json.dumps(one.to_json()) for each in found.values() for one in each.found]
        shown = "-".join(each.digest for each in found.values())
        return [*said, f"nothing is erased yet: to remove these records, repeat this with CONFIRM={shown}"], 0
    said = list[str]()
    for receipt in going_on or ([new_receipt()] if any(each.found for each in found.values()) else []):
        said += _erase_under(request, receipt, found)
        found = {model.name: request.search(model) for model in request.models}
    said = said or [f"{model.name}: nothing to erase" for model in request.models]
    left = [one for each in found.values() for one in each.found]
    return [*said, *(f"still there: {json.dumps(one.to_json())}" for one in left)], LATER if left else 0


def _confirmed(request: _Request, found: Mapping[str, Search], going_on: Sequence[str]) -> bool:
    """Whether somebody has seen all that is found: now, or when an erasure began that has no end."""
    parts = dict(zip(found, request.confirm.split("-"), strict=False))
    for model in request.models:
        begun = [one for receipt in going_on if (one := request.begun(model, receipt))]
        seen = [_identity(version) for one in begun for version in one["versions"]]
        each = found[model.name]
        if parts.get(model.name) != each.digest and any(one.identity not in seen for one in each.found):
            return False
    return True


def _identity(version: Mapping[str, Any]) -> tuple[str, str, str]:
    return version["bucket"], version["key"], version["version"]


def _erase_under(request: _Request, receipt: str, found: Mapping[str, Search]) -> list[str]:
    """Erase what was found; the receipt is told before, and kept until the erasure has ended in every model's data."""
    for model in request.models:
        if found[model.name].found:
            request.notes(model).write(receipt, request.subject.key)
    sys.stdout.write(f"receipt {receipt}: give it to the person, it is kept until the erasure ends\n")
    sys.stdout.flush()
    said = [line for model in request.models for line in _erase_of(request, model, found[model.name].found, receipt)]
    for model in request.models:
        request.notes(model).remove(receipt, request.subject.key)
    return said


def _erase_of(request: _Request, model: ModelSpec, found: Sequence[Found], receipt: str) -> list[str]:
    """Erase in one model's data; the training is asked for before the end is recorded, so that a kill shows.

    What has come since an erasure began is recorded as another beginning, and asks for a training of its own: the one
    that was asked for may have learnt from it.
    """
    begun = request.begun(model, receipt)
    if begun is None and not found:
        return [f"{model.name}: nothing to erase"]
    known: list[dict[str, Any]] = begun["versions"] if begun else []
    told = [_identity(each) for each in known]
    new = [each for each in found if each.identity not in told]
    if begun is None or new:
        versions = known + [each.to_json() for each in new]
        training = _teaches(found) or (begun is not None and begun["training"])
        request.prove(model, receipt, BEGUN, versions=versions, training=training)
        begun = request.begun(model, receipt) or {}
    _, kept = erase(request.s3, found, request.subject)
    learnt_from = begun["training"] or _teaches(found)
    if learnt_from:
        _ask_for_training(request, model, token=f"{begun['number']}-{begun['subject']}")
    stays = [each.identity for each in kept]
    versions = [each for each in begun["versions"] if _identity(each) not in stays]
    where = request.prove(model, receipt, ERASED, versions=versions, retained=[each.to_json() for each in kept])
    asked = ["a training without these records is asked for"] if learnt_from else []
    return [f"{model.name}: {text}" for text in (f"{len(versions)} versions erased", *asked, f"proof {where}")]


def _teaches(found: Sequence[Found]) -> bool:
    """Whether the data that models are trained on change by an erasure."""
    return any(each.place.learnt_from and (each.latest or not each.retained) for each in found)


def _handed_on(receipt: str) -> str:
    return f"receipt {receipt}: give it to the person, it is kept nowhere"


def _ask_for_training(request: _Request, model: ModelSpec, *, token: str) -> None:
    """Ask on the bus; with the same token the request is the same, however often it is made."""
    reason = "records were erased from its data"
    detail = {"model": model.name, "reason": reason, "requestedBy": request.caller, "token": token}
    entry = {
        "EventBusName": request.labels.event_bus,
        "Source": SOURCE,
        "DetailType": RETRAIN,
        "Detail": json.dumps(detail),
    }
    answer = request.client("events").put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        said = answer["Entries"][0].get("ErrorMessage", "")
        raise RefusedError(f"the records are erased, but no training could be asked for: {said}; repeat this")


def _verify(request: _Request) -> tuple[list[str], int]:
    problems = [f"{model.name}: {each}" for model in request.models for each in request.chain(model).problems()]
    whole = [f"{model.name}: the chain of proofs is whole" for model in request.models]
    return problems or whole, BROKEN if problems else 0


def _policy(request: _Request) -> tuple[list[str], int]:
    key = request.client("kms").describe_key(KeyId=request.labels.key_alias)["KeyMetadata"]["Arn"]
    return [policy(request.labels, request.models, key)], 0


ACTIONS: dict[str, Callable[[_Request], tuple[list[str], int]]] = {
    "export": _export,
    "erase": _erase,
    "verify": _verify,
    "policy": _policy,
}
NEED_SUBJECT = ("export", "erase")

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
