"""The real Pulumi engine over the sandbox's providers.

An `Engine` owns one folder: project and stack file, state (file backend), secrets passphrase, plugin launchers and
the world in which the providers keep what exists. The engine runs `__main__.py` through the Automation API, so no
language host is needed; the policy pack runs as the real pack, in a process of its own.
"""

from __future__ import annotations

import os
import re
import runpy
import secrets
import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import yaml
from pulumi import automation

from sandbox import checkpoint
from sandbox.account import empty_account, reached_by_default
from sandbox.callbacks import Callbacks, own_connections
from sandbox.garbage import not_collected
from sandbox.providers.aws import FOLDER_VARIABLE
from sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT: Final = Path(__file__).resolve().parents[1]
PROJECT: Final = "slipway"
CLI_VARIABLE: Final = "SLIPWAY_PULUMI"
"""Names the Pulumi CLI; without it the one on PATH is used."""

_PROVIDERS: Final = ("aws", "kubernetes", "eks")
_ENCRYPTION: Final = re.compile(r"(encryptionsalt|encryptedkey|secretsprovider):")
_HOST_ERROR: Final = "python inline source runtime error"
_BEING_WRITTEN: Final = "failed to load checkpoint"
"""What the CLI says of a state file that another run is writing at this moment."""
_HIDDEN_FROM_ENGINE: Final = ("AWS_",)
"""Prefixes of environment variables that the engine and its plugins must not see: no credentials are looked for."""


_QUIET: Final[dict[str, Any]] = {"color": "never", "suppress_progress": True}

Watch: TypeAlias = "Callable[[str], None]"
"""Is told of progress, in a few words at a time."""


class _Result(Protocol):
    """What the Automation API answers to every operation."""

    stdout: str


class EngineError(Exception):
    """The engine could not do what was asked; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What a policy reported."""

    policy: str
    mandatory: bool
    urn: str
    message: str


@dataclass(slots=True)
class Outcome:
    """What an operation of the engine did."""

    changes: dict[str, int] = field(default_factory=dict[str, int])
    """Operation (`create`, `update`, `same`, …) → number of resources."""
    steps: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(operation, URN) in the order of the engine."""
    violations: list[Violation] = field(default_factory=list[Violation])
    errors: list[str] = field(default_factory=list[str])
    stdout: str = ""

    @property
    def mandatory(self) -> list[Violation]:
        """Violations that stop an update."""
        return [violation for violation in self.violations if violation.mandatory]

    @property
    def unchanged(self) -> bool:
        """Whether nothing was or would be changed."""
        return not set(self.changes) - {"same", "read"}


@dataclass(frozen=True, slots=True)
class State:
    """A deployment in the format of `pulumi stack export`."""

    version: int
    deployment: dict[str, Any]

    @property
    def resources(self) -> list[dict[str, Any]]:
        """Resources in the order in which they depend on each other."""
        return self.deployment.setdefault("resources", [])


@dataclass(frozen=True, slots=True)
class PolicyPack:
    """A policy pack and its configuration."""

    folder: Path
    config: Path


def platform_program() -> None:
    """Runs the platform's `__main__.py`."""
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


class Engine:
    """One stack on the real engine, in one folder."""

    def __init__(
        self,
        folder: Path,
        stack: str,
        *,
        stack_file: Path | None = None,
        program: Callable[[], None] = platform_program,
    ) -> None:
        self.folder, self.stack = folder, stack
        self._program = program
        self._callbacks: Callbacks | None = None
        own_connections()
        self._lay_out(stack_file or ROOT / f"Pulumi.{stack}.yaml")
        self._stack = self._open()

    @property
    def backend(self) -> Path:
        """Folder of the file backend."""
        return self.folder / "backend"

    @property
    def state_file(self) -> Path:
        """File that holds the state of the stack."""
        return self.backend / ".pulumi" / "stacks" / PROJECT / f"{self.stack}.json"

    def world(self) -> World:
        """Opens what exists in the sandbox."""
        return World(self.folder / "world.db")

    def preview(
        self, pack: PolicyPack | None = None, watch: Watch | None = None, *, diff: bool | None = None
    ) -> Outcome:
        """Plans an update.

        Args:
            pack: Policies that judge it.
            watch: Hears of progress.
            diff: Whether `stdout` tells each property that would change, as `pulumi preview --diff` does.

        Raises:
            EngineError: the program or a provider failed; policy violations do not raise.
        """
        return self._operate(
            lambda listen: self._stack.preview(on_event=listen, diff=diff, **_QUIET, **_packs(pack)), watch
        )

    def up(self, pack: PolicyPack | None = None, watch: Watch | None = None) -> Outcome:
        """Updates the stack.

        Raises:
            EngineError: the update failed; policy violations do not raise.
        """
        return self._operate(lambda listen: self._stack.up(on_event=listen, **_QUIET, **_packs(pack)), watch)

    def refresh(self, watch: Watch | None = None) -> Outcome:
        """Takes what exists into the state.

        Raises:
            EngineError: a provider failed.
        """
        return self._operate(lambda listen: self._stack.refresh(on_event=listen, **_QUIET), watch)

    def destroy(self, watch: Watch | None = None, *, aws_endpoint: str | None = None) -> Outcome:
        """Removes everything; hooks of the program run.

        Args:
            watch: Hears of progress.
            aws_endpoint: Address that hooks reach as AWS; an account without resources when there is none.

        Raises:
            EngineError: something could not be removed.
        """
        with ExitStack() as during:
            hooked = self.state_file.exists() and any(item.get("resourceHooks") for item in self.export().resources)
            if hooked:
                endpoint = aws_endpoint or during.enter_context(empty_account(self._account()))
                during.enter_context(reached_by_default(endpoint))
            return self._operate(
                lambda listen: self._stack.destroy(run_program=hooked or None, on_event=listen, **_QUIET), watch
            )

    def _account(self) -> str:
        configured = yaml.safe_load((self.folder / "project" / f"Pulumi.{self.stack}.yaml").read_text())
        return str(configured["config"]["slipway:environment"]["accountId"])

    def _operate(self, operation: Callable[[_Listener], _Result], watch: Watch | None) -> Outcome:
        outcome = Outcome()
        listener = _Listener(outcome, watch)
        try:
            with not_collected():
                outcome.stdout = operation(listener).stdout
        except automation.CommandError as error:
            if not outcome.mandatory:
                raise EngineError(_readable(outcome.errors) or str(error)) from error
        finally:
            if self._callbacks is not None:
                self._callbacks.stop()
        return outcome

    def outputs(self) -> Mapping[str, automation.OutputValue]:
        """Returns the outputs of the stack, secrets in clear text."""
        return self._stack.outputs()

    def export(self) -> State:
        """Returns the state as `pulumi stack export` does, secrets encrypted."""
        content = checkpoint.load(self.state_file)
        if content is None:
            raise EngineError(f"stack {self.stack} has no state yet")
        return State(content["version"], content["checkpoint"]["latest"] or {})

    def import_(self, state: State) -> None:
        """Replaces the state."""
        self._stack.import_stack(automation.Deployment(version=state.version, deployment=state.deployment))

    def _lay_out(self, stack_file: Path) -> None:
        project, launchers = self.folder / "project", self.folder / "bin"
        for folder in (project, launchers, self.backend, self.folder / "home"):
            folder.mkdir(parents=True, exist_ok=True)
        for name in _PROVIDERS:
            _launcher(launchers / f"pulumi-resource-{name}", f"-m sandbox.providers.{name}")
        _launcher(launchers / "pulumi-analyzer-policy-python", "__main__.py")
        plugins = [{"name": name, "path": str(launchers)} for name in _PROVIDERS]
        description = {"name": PROJECT, "runtime": "python", "plugins": {"providers": plugins}}
        (project / "Pulumi.yaml").write_text(yaml.safe_dump(description))
        self._copy_stack_file(stack_file, project / f"Pulumi.{self.stack}.yaml")

    def _copy_stack_file(self, source: Path, target: Path) -> None:
        """Copies the configuration, with this folder's own encryption instead of the environment's."""
        had = target.read_text().splitlines() if target.exists() else []
        lines = [line for line in source.read_text().splitlines() if not _ENCRYPTION.match(line)]
        lines += [line for line in had if _ENCRYPTION.match(line)]
        if lines != had:
            target.write_text("\n".join(lines) + "\n")

    def _passphrase(self) -> str:
        file = self.folder / "passphrase"
        if not file.exists():
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as out:
                out.write(secrets.token_urlsafe(32))
        return file.read_text()

    def _open(self) -> automation.Stack:
        environment = {
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_CONFIG_PASSPHRASE": self._passphrase(),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            FOLDER_VARIABLE: str(self.folder),
            "PYTHONPATH": str(ROOT),
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        for name in list(os.environ):
            if name.startswith(_HIDDEN_FROM_ENGINE):
                del os.environ[name]
        options = automation.LocalWorkspaceOptions(
            work_dir=str(self.folder / "project"),
            pulumi_home=str(self.folder / "home"),
            env_vars=environment,
            pulumi_command=_command(),
        )
        return self._select(options)

    def _select(self, options: automation.LocalWorkspaceOptions, attempts: int = 3) -> automation.Stack:
        checkpoint.mend(self.state_file)
        try:
            return automation.create_or_select_stack(self.stack, project_name=PROJECT, program=self._run, opts=options)
        except automation.CommandError as error:
            if attempts == 1 or _BEING_WRITTEN not in str(error):
                raise
            return self._select(options, attempts - 1)

    def _run(self) -> None:
        self._callbacks = Callbacks.install()
        self._program()


class _Listener:
    """Collects the engine's events."""

    def __init__(self, outcome: Outcome, watch: Watch | None) -> None:
        self._outcome, self._watch = outcome, watch

    def __call__(self, event: automation.EngineEvent) -> None:
        if event.resource_pre_event is not None:
            metadata = event.resource_pre_event.metadata
            self._outcome.steps.append((str(getattr(metadata.op, "value", metadata.op)), metadata.urn))
            if self._watch is not None:
                self._watch(f"{len(self._outcome.steps)} resources, {metadata.urn.rsplit('::', 1)[-1]}")
        if event.summary_event is not None:
            counts = event.summary_event.resource_changes
            self._outcome.changes = {str(getattr(op, "value", op)): count for op, count in counts.items()}
        if event.policy_event is not None:
            found = event.policy_event
            self._outcome.violations.append(
                Violation(
                    found.policy_name, found.enforcement_level == "mandatory", found.resource_urn or "", found.message
                )
            )
        if event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
            self._outcome.errors.append(event.diagnostic_event.message.strip())


def _readable(errors: list[str]) -> str:
    """Returns the errors without the traceback that the program's host adds; alone, its last line is the error."""
    mine = [text for text in errors if _HOST_ERROR not in text]
    return "\n".join(mine or [text.rsplit("\n", 1)[-1] for text in errors])


def _packs(pack: PolicyPack | None) -> dict[str, Any]:
    return {"policy_packs": [str(pack.folder)], "policy_pack_configs": [str(pack.config)]} if pack else {}


def _launcher(path: Path, arguments: str) -> None:
    text = f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n'
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o755)


def _command() -> automation.PulumiCommand:
    """Returns the CLI that bootstrap found, else the one on PATH.

    Raises:
        EngineError: there is none.
    """
    given = os.environ.get(CLI_VARIABLE) or shutil.which("pulumi")
    if not given:
        raise EngineError(f"no Pulumi CLI: set {CLI_VARIABLE}, put `pulumi` on PATH, or run through `make`")
    binary = Path(given).resolve()
    if binary.parent.name == "bin":
        return automation.PulumiCommand(root=str(binary.parent.parent))
    os.environ["PATH"] = f"{binary.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return automation.PulumiCommand()
