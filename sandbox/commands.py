"""The commands of `python -m sandbox`."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from components.labels import Labels
from components.model_places import ModelPlaces
from components.retraining_objects import model_document
from costs.plan import from_export
from guardrails.registry import all_rules
from retraining.facts import ModelSettings
from sandbox import gate
from sandbox import months as arrivals
from sandbox.chain import report as chain_report
from sandbox.chain import schedule, steps
from sandbox.chaos import Chaos
from sandbox.costing import read_plan, report_costs
from sandbox.declared import loops
from sandbox.engine import ROOT, Engine, Outcome, PolicyPack
from sandbox.loop import batch
from sandbox.loop import run as loop
from sandbox.loop.loopback import Clients
from sandbox.loop.poisons import POISONS
from sandbox.loop.retraining import ask, open_local_door
from sandbox.loop.spec import LoopReport
from sandbox.loop.versions import compared, groups, versions
from sandbox.recovery import recover
from sandbox.replay import show as year
from sandbox.rollout import show
from sandbox.rollout.faults import FAULTS, UNREADY
from settings.check import load_file
from settings.problems import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from sandbox.console import Console
    from sandbox.loop.spec import LoopReport
    from settings.model import Settings

LOCAL: Final = "local"
STATE_VARIABLE: Final = "SLIPWAY_STATE"
"""Names the folder that holds the state of every environment's sandbox; `.slipway` in the checkout without it."""

_UNDECIDED: Final = ("undecided", "undecided-in-stack")
"""Policies under which the pack reports what depends on values that only a deployment knows."""

_PLUGIN_NOTE: Final = re.compile(r" *warning: using pulumi-\S+ from \$PATH at \S+")
"""The engine's note on every plugin that it did not install itself: here, all of them."""

IMAGE_PYTHON_VARIABLE: Final = "SLIPWAY_IMAGE_PYTHON"


class CommandError(Exception):
    """The command stops here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Command:
    """One verb of the command line."""

    run: Callable[..., None]
    flags: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, dict[str, Any]])


def state_folder(stack: str) -> Path:
    """Returns where an environment's sandbox lives."""
    return Path(os.environ.get(STATE_VARIABLE) or ROOT / ".slipway").resolve() / stack


def policy_pack(stack: str) -> PolicyPack:
    """Returns the pack with the levels of an environment."""
    return PolicyPack(ROOT / "policies", ROOT / "policies" / "config" / f"{stack}.json")


def up(console: Console, months: str = "", poison: str = "") -> None:
    """Bring environment `local` up: deploy, train, register, serve, ask."""
    numbers = arrivals.months_of(months)
    if poison:
        arrivals.check_poison(poison, numbers, state_folder(LOCAL))
    settings = _checked_settings(LOCAL)
    with _only_run(state_folder(LOCAL)):
        engine = _open(console, LOCAL)
        outcome = _plan(console, engine)
        if not outcome.unchanged:
            with console.step("Deploy environment local") as step:
                outcome = engine.up(policy_pack(LOCAL), step.note)
                step.summary = _describe(outcome.changes)
        outputs = {name: output.value for name, output in engine.outputs().items()}
        specs = [
            replace(spec, training_months=numbers, poison=poison)
            for spec in loops(settings, outputs, engine.world(), state_folder(LOCAL), _image_python())
        ]
        if poison:
            for spec in specs:
                arrivals.try_poison(console, spec)
            return
        reports = [loop.bring_up(spec, console) for spec in specs]
        console.table("Environment local is up", _summary(engine, outcome, reports))
        for report in reports:
            console.info(f"\nTry {report.model}:\n  {report.curl}\n  make transform MODEL={report.model}")


def down(console: Console) -> None:
    """Remove all of environment `local`."""
    folder = state_folder(LOCAL)
    if not folder.exists():
        console.info("environment local is not up: nothing to remove")
        return
    with _only_run(folder):
        loop.tear_down(folder, console)
        engine = _open(console, LOCAL)
        with console.step("Destroy environment local") as step:
            step.summary = _describe(engine.destroy(step.note).changes)
        left = engine.world().all()
        if left:
            names = "\n".join(f"  {record.type} {record.id}" for record in left)
            raise CommandError(f"the engine left {len(left)} resources behind:\n{names}")
        shutil.rmtree(folder)


def status(console: Console) -> None:
    """Say what of environment `local` is running, and compare the versions of each model."""
    folder = state_folder(LOCAL)
    if not folder.exists():
        console.info("environment local is not up")
        return
    found = loop.status(folder)
    services = {
        service.name: f"{service.url or 'not running'}{'' if service.healthy else ', no answer'}" for service in found
    }
    console.table("Environment local", {"State": str(folder), **services})
    endpoint = _apis()
    if endpoint is not None:
        clients = Clients(endpoint, _checked_settings(LOCAL).environment.region)
        for group in groups(clients):
            console.table(f"\nVersions of {group}", compared(versions(clients, group)))


def retrain(console: Console, model: str, reason: str) -> None:
    """Ask for a training of a model of environment `local`, by the door that every reason takes."""
    settings, apis = _checked_settings(LOCAL), _apis()
    spec = {each.name: each for each in settings.models}.get(model)
    if apis is None or spec is None:
        known = ", ".join(each.name for each in settings.models)
        raise CommandError(f"environment local {'is not up: make up' if apis is None else f'has the models {known}'}")
    clients = Clients(apis, settings.environment.region)
    door = open_local_door(clients, ModelSettings.parse(model_document(Labels(settings.environment), spec)), time.time)
    with console.step(f"Train {model} again") as step:
        step.summary = ask(door, clients, model, reason, step.note)


def transform(console: Console, model: str, rows: str, out: str) -> None:
    """Answer rows, of a file or of the held-out month, by a batch transform of the version that serves in `local`."""
    settings, apis, folder = _checked_settings(LOCAL), _apis(), state_folder(LOCAL)
    if apis is None:
        raise CommandError("environment local is not up: make up")
    if rows and not Path(rows).is_file():
        raise CommandError(f"IN is {rows!r}: name a CSV file without header; its columns are the model's features")
    with _only_run(folder):
        engine = _open(console, LOCAL)
        outputs = {name: output.value for name, output in engine.outputs().items()}
        specs = {spec.model.name: spec for spec in loops(settings, outputs, engine.world(), folder, _image_python())}
    if model not in specs:
        raise CommandError(f"environment local has the models {', '.join(specs)}")
    spec, clients = specs[model], Clients(apis, settings.environment.region)
    places = ModelPlaces(Labels(settings.environment), spec.model)
    file, target = Path(rows) if rows else batch.held_out(spec), Path(out or folder / "answers")
    with console.step(f"Transform {file.name} with {model}") as step:
        step.summary = batch.transform(clients, spec, places, rows=file, out=target, note=step.note)


def preview(console: Console, stack: str) -> None:
    """Plan an environment on the sandbox, judged by the policies."""
    _checked_settings(stack)
    with _only_run(state_folder(stack)):
        engine = _open(console, stack)
        outcome = _plan(console, engine)
        console.info(_PLUGIN_NOTE.sub("", outcome.stdout).rstrip())
        console.info(f"{_describe(outcome.changes)}; {_verdict(outcome)}")


def plan(console: Console, stack: str, out: str) -> None:
    """Write the deployment that an environment would have, as `pulumi stack export` does."""
    _checked_settings(stack)
    target = Path(out)
    if not target.parent.is_dir():
        raise CommandError(f"{out}: the folder {target.parent} does not exist; create it or name another file")
    with tempfile.TemporaryDirectory(prefix="slipway-plan-") as folder:
        engine = Engine(Path(folder), stack)
        with console.step(f"Bring {stack} up in a throw-away sandbox") as step:
            outcome = engine.up(policy_pack(stack), step.note)
            step.summary = f"{_describe(outcome.changes)}; {_verdict(outcome)}"
        _refuse_violations(stack, outcome)
        exported = engine.export()
        text = json.dumps(asdict(exported), indent=2) + "\n"
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    unfinished.write_text(text)
    unfinished.replace(target)
    console.info(f"wrote {target}: {len(exported.resources)} resources")


def chain(console: Console, stack: str, scale: float) -> None:
    """Print the longest chain of bringing an environment up from nothing, and what of it is ours."""
    _checked_settings(stack)
    with tempfile.TemporaryDirectory(prefix="slipway-chain-") as folder:
        engine = Engine(Path(folder), stack)
        Chaos(time_scale=scale).save(Path(folder))
        started = time.monotonic()
        with console.step(f"Bring {stack} up at {scale:g} of the published times") as step:
            step.summary = _describe(engine.up(watch=step.note).changes)
        measured = time.monotonic() - started
        all_steps = steps(engine.export().resources)
    ours, theirs = schedule(all_steps), schedule(all_steps, imposed_only=True)
    console.info(chain_report(all_steps, ours, theirs))
    if scale:
        console.info(
            f"the engine took {measured:.1f} s at scale {scale:g}; the chain alone is {ours.seconds * scale:.1f} s"
        )


def cost(console: Console, stack: str, plan: str, base: str, out: str) -> None:
    """Say what an environment costs a month, from its plan and stated assumptions."""
    settings = _checked_settings(stack)
    if plan:
        resources = read_plan(plan)
    else:
        with tempfile.TemporaryDirectory(prefix="slipway-cost-") as folder:
            engine = Engine(Path(folder), stack)
            with console.step(f"Bring {stack} up in a throw-away sandbox") as step:
                step.summary = _describe(engine.up(watch=step.note).changes)
            resources = from_export({"deployment": engine.export().deployment})
    report_costs(console, settings, resources, base=base, out=out)


def policy(console: Console, stack: str | None, out: str | None, charts: str | None = None) -> None:
    """Judge the program of one environment, or of every one, with known values; needs no Pulumi CLI."""
    names = gate.stacks() if stack is None else [stack]
    for name in names:
        _checked_settings(name)
    refused: list[str] = []
    try:
        for result in gate.judge(names, charts=None if charts is None else Path(charts)):
            mark = "✓" if result.report.passed else "✗"
            console.info(f"{mark} {result.stack}: {gate.summary(result)}")
            for line in gate.lines(result):
                console.info(line)
            if not result.report.passed:
                refused.append(result.stack)
            if out is not None:
                _write_report(Path(out), result)
    except gate.GateError as error:
        raise CommandError(str(error)) from error
    if refused:
        raise CommandError(f"the policies refuse {', '.join(refused)}: mend what is marked with ✗")


def rollout(console: Console, strategy: str, fault: str) -> None:
    """Replace the model of environment `local` by another version under load, and say what happens."""
    given = {"STRATEGY": (strategy, (*show.ROLLOUTS, *show.SPLITS)), "FAULT": (fault, ("", *FAULTS, UNREADY))}
    for name, (word, known) in given.items():
        if word not in known:
            listed = ", ".join(filter(None, known))
            example = "make rollout STRATEGY=canary FAULT=slow"
            raise CommandError(f"{name}={word}: there are {listed}. Write for example: {example}")
    show.show(console, state_folder(LOCAL), _image_python(), strategy, fault)


def play(console: Console, months: str) -> None:
    """Play a year of data through the whole loop of environment `local`, in an account of its own."""
    numbers = year.months_of(months)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its processes are ended, however it is stopped
    folder = state_folder(LOCAL)
    if not folder.exists():
        raise CommandError("environment local is not up: run `make up` first")
    settings = _checked_settings(LOCAL)
    with _only_run(folder):
        engine = _open(console, LOCAL)
        outputs = {name: output.value for name, output in engine.outputs().items()}
        specs = list(loops(settings, outputs, engine.world(), folder, _image_python()))
    for spec in specs:
        year.show(console, spec, numbers, folder / "year" / spec.model.name)


def _apis() -> str | None:
    """Address of the AWS APIs of environment `local`; None where they do not answer."""
    found = loop.status(state_folder(LOCAL))
    return next((each.url for each in found if each.name == loop.APIS and each.healthy and each.url), None)


def _image_python() -> Path:
    return Path(os.environ.get(IMAGE_PYTHON_VARIABLE) or sys.executable)


def _write_report(folder: Path, result: gate.Judged) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"policy-{result.stack}.json"
    target.write_text(json.dumps(result.document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _checked_settings(stack: str) -> Settings:
    file = ROOT / f"Pulumi.{stack}.yaml"
    if not file.exists():
        known = ", ".join(sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml")))
        raise CommandError(f"there is no environment {stack!r}: {file.name} does not exist; environments: {known}")
    try:
        return load_file(file)
    except SettingsError as error:
        raise CommandError(str(error)) from error


@contextmanager
def _only_run(folder: Path) -> Generator[None]:
    """Keeps a second command off the same folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"another command works on environment {folder.name}; wait for it to end") from None
        yield


def _open(console: Console, stack: str) -> Engine:
    engine = Engine(state_folder(stack), stack)
    found = recover(engine)
    if found.needed:
        console.info(
            f"recovered from a run that was killed: {found.locks_broken} stale locks broken, "
            f"{len(found.adopted)} unfinished creations adopted, {len(found.dropped)} other operations settled"
        )
    return engine


def _plan(console: Console, engine: Engine) -> Outcome:
    with console.step(f"Plan environment {engine.stack} with {len(all_rules())} policies") as step:
        outcome = engine.preview(policy_pack(engine.stack), step.note)
        step.summary = f"{_describe(outcome.changes)}; {_verdict(outcome)}"
    _refuse_violations(engine.stack, outcome)
    open_ = [found for found in outcome.violations if found.policy in _UNDECIDED]
    for found in outcome.violations:
        if found not in open_:
            console.info(f"  advice  {_last_paragraph(found.message)}")
    if open_:
        console.info(f"  {len(open_)} questions cannot be judged before deployment; the update judges them again")
    return outcome


def _refuse_violations(stack: str, outcome: Outcome) -> None:
    if not outcome.mandatory:
        return
    found = "\n".join(f"  {v.policy}: {_last_paragraph(v.message)}\n    {v.urn}" for v in outcome.mandatory)
    raise CommandError(f"environment {stack} breaks {len(outcome.mandatory)} mandatory policies:\n{found}")


def _last_paragraph(message: str) -> str:
    """Returns what a rule found; the engine puts the rule's description before it."""
    return message.strip().split("\n", 1)[-1].strip()


def _describe(changes: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(changes.items())) or "nothing to do"


def _verdict(outcome: Outcome) -> str:
    advice = len(outcome.violations) - len(outcome.mandatory)
    return f"{len(all_rules())} policies, {len(outcome.mandatory)} violations, {advice} pieces of advice"


def _summary(engine: Engine, outcome: Outcome, reports: list[LoopReport]) -> dict[str, str]:
    rows = {
        "Resources": f"{len(engine.world().all())} in the sandbox ({_describe(outcome.changes)})",
        "Policies": _verdict(outcome),
    }
    for report in reports:
        rows |= _model_rows(report)
    return {**rows, "State": str(engine.folder), "Remove": "make down"}


def _model_rows(report: LoopReport) -> dict[str, str]:
    holdout = report.holdout
    quality = f"AUC {holdout.auc:.3f}, log loss {holdout.log_loss:.3f} (base rate {holdout.base_rate_log_loss:.3f})"
    return {
        "Model": f"{report.model} version {report.model_version}, test AUC {report.metrics['auc']:.3f}",
        "Asked": f"{holdout.rows} rows of the held-out month over HTTP: {quality}",
        "Endpoint": report.endpoint_url,
    }


_STACK: Final = {"stack": {"required": True, "help": "environment, the <name> of Pulumi.<name>.yaml"}}
COMMANDS: Final[dict[str, Command]] = {
    "up": Command(
        up,
        {
            "months": {"default": "", "help": "months of 2013 that have arrived; January to June without it"},
            "poison": {"default": "", "help": f"what is wrong with the last of them: {', '.join(POISONS)}"},
        },
    ),
    "down": Command(down),
    "status": Command(status),
    "retrain": Command(
        retrain,
        {
            "model": {"required": True, "help": "name of the model"},
            "reason": {"required": True, "help": "why; it is kept with the run"},
        },
    ),
    "transform": Command(
        transform,
        {
            "model": {"required": True, "help": "name of the model"},
            "in": {"default": "", "dest": "rows", "help": "CSV file of rows, without header; else the held-out month"},
            "out": {"default": "", "help": "folder for the answers; in the environment's state without it"},
        },
    ),
    "preview": Command(preview, _STACK),
    "chain": Command(
        chain, {**_STACK, "scale": {"type": float, "default": 0.0, "help": "share of the published times to wait"}}
    ),
    "policy": Command(
        policy,
        {
            "stack": {"default": None, "help": "environment; every one without it"},
            "out": {"default": None, "help": "folder for policy-<stack>.json"},
            "charts": {"default": None, "help": "folder of charts by name, judged with their releases; needs Helm"},
        },
    ),
    "rollout": Command(
        rollout,
        {
            "strategy": {"default": "canary", "help": "how the new version takes over, or is tried"},
            "fault": {"default": "", "help": "what is wrong with the new version"},
        },
    ),
    "loop": Command(
        play, {"months": {"default": "", "help": "numbers of months, separated by commas; all without it"}}
    ),
    "plan": Command(plan, {**_STACK, "out": {"required": True, "help": "file to write"}}),
    "cost": Command(
        cost,
        {
            **_STACK,
            "plan": {"default": "", "help": "plan to price instead of a new one"},
            "base": {"default": "", "help": "earlier estimate or plan to compare with"},
            "out": {"default": "", "help": "JSON file to write"},
        },
    ),
}
