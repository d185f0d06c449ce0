"""What is known about one person: `python -m operations.subject --action export --subject ann --stack prod`.

`export` writes every record to a file; `erase` first shows what it would remove and, called again with what it showed,
removes it from all versions, leaves a proof, and asks for the models to be trained again; `verify` checks the proofs;
`policy` prints the policy of a role that may do all this.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from components.labels import MODELS, Labels
from components.model_places import ModelPlaces
from operations.proof import BEGUN, ERASED, EXPORTED, Chain, new_receipt
from operations.subject_grants import places_of, policy
from operations.subject_objects import Found, Search, erase, search
from operations.subject_records import Subject
from settings.check import load_file
from settings.problems import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

    from settings.model import ModelSpec, Settings

ROOT = Path(__file__).resolve().parent.parent
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

    def client(self, service: str) -> Any:  # noqa: ANN401 - each caller knows which client it asks for
        return get_session().create_client(service, region_name=self.settings.environment.region)

    @property
    def s3(self) -> S3Client:
        return cast("S3Client", self.client("s3"))

    def search(self, model: ModelSpec) -> Search:
        return search(self.s3, places_of(self.labels, model), self.subject)

    def chain(self, model: ModelSpec) -> Chain:
        return Chain(self.s3, self.labels.bucket(MODELS), ModelPlaces(self.labels, model).proofs)

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
    target.write_text(
        json.dumps({name: list(each.records) for name, each in found.items()}, indent=1, ensure_ascii=False), "utf-8"
    )
    said = [f"{name}: {len(each.records)} records" for name, each in found.items()]
    said += [f"not searched: {name}" for each in found.values() for name in each.unread]
    receipt = new_receipt()
    for model in request.models:
        said.append(request.prove(model, receipt, EXPORTED, records=len(found[model.name].records)))
    return [*said, f"wrote {target}, which you alone can read", _handed_on(receipt)], 0


def _erase(request: _Request) -> tuple[list[str], int]:
    found = {model.name: request.search(model) for model in request.models}
    if unread := [name for each in found.values() for name in each.unread]:
        raise RefusedError("nothing is erased, because these cannot be searched:\n" + "\n".join(unread))
    shown = "-".join(each.digest for each in found.values())
    if request.confirm != shown:
        said = [json.dumps(one.to_json()) for each in found.values() for one in each.found]
        return [*said, f"nothing is erased yet: to remove these records, repeat this with CONFIRM={shown}"], 0
    receipt = new_receipt()
    said = [line for model in request.models for line in _erase_of(request, model, found[model.name].found, receipt)]
    left = [one for model in request.models for one in request.search(model).found]
    said += [f"still there: {json.dumps(one.to_json())}" for one in left]
    return [*said, _handed_on(receipt)], LATER if left else 0


def _erase_of(request: _Request, model: ModelSpec, found: Sequence[Found], receipt: str) -> list[str]:
    """Erase in one model's data; the training is asked for before the end is recorded, so that a kill shows."""
    if not found:
        return [f"{model.name}: nothing to erase"]
    request.prove(model, receipt, BEGUN, versions=[each.to_json() for each in found])
    gone, kept = erase(request.s3, found, request.subject)
    learnt_from = any(each.place.learnt_from for each in gone)
    if learnt_from:
        _ask_for_training(request, model)
    erased = {"versions": [each.to_json() for each in gone], "retained": [each.to_json() for each in kept]}
    where = request.prove(model, receipt, ERASED, **erased)
    asked = ["a training without these records is asked for"] if learnt_from else []
    return [f"{model.name}: {text}" for text in (f"{len(gone)} versions erased", *asked, f"proof {where}")]


def _handed_on(receipt: str) -> str:
    return f"receipt {receipt}: give it to the person, it is kept nowhere"


def _ask_for_training(request: _Request, model: ModelSpec) -> None:
    detail = {"model": model.name, "reason": "records were erased from its data", "requestedBy": request.caller}
    entry = {
        "EventBusName": request.labels.event_bus,
        "Source": SOURCE,
        "DetailType": RETRAIN,
        "Detail": json.dumps(detail),
    }
    answer = request.client("events").put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        said = answer["Entries"][0].get("ErrorMessage", "")
        raise RefusedError(f"the records are erased, but no training could be asked for: {said}")


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
