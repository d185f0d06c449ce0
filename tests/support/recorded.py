"""What a recording says: the resources that the real program registered, and the questions that tests ask."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.wire import UNKNOWN

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "__main__.py"
STACKS = ("local", "dev", "staging", "prod")
STACK_TYPE = "pulumi:pulumi:Stack"
SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One registration, with property names as on the wire."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    remote: bool
    provider: str
    providers: dict[str, str]
    inputs: dict[str, Any]
    secrets: list[str]
    dependencies: list[str]
    property_dependencies: dict[str, list[str]]
    protect: bool
    ignore_changes: list[str]
    aliases: int
    transforms: int
    before_delete: list[str]
    outputs: dict[str, Any] | None
    secret_outputs: list[str]

    @property
    def is_provider(self) -> bool:
        return self.type.startswith("pulumi:providers:")

    @property
    def tags(self) -> dict[str, str]:
        return self.inputs.get("tags") or {}

    def known(self, property_: str) -> bool:
        """Whether nothing in a property was unknown when the program registered the resource."""
        return UNKNOWN not in json.dumps(self.inputs[property_])

    def policy(self, property_: str = "policy") -> dict[str, Any]:
        """A policy document among the inputs."""
        return json.loads(self.inputs[property_])


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording of one stack."""

    stack: str
    resources: tuple[Resource, ...]

    def of_type(self, token: str) -> list[Resource]:
        """Resources of a type; at least one, so that no statement about them is empty.

        Raises:
            LookupError: if there is none.
        """
        found = [resource for resource in self.resources if resource.type == token]
        if not found:
            raise LookupError(f"{self.stack} registers no {token}")
        return found

    def one(self, token: str, name: str | None = None) -> Resource:
        """The resource of a type, or the one with that logical name."""
        found = [resource for resource in self.of_type(token) if name in (None, resource.name)]
        if len(found) != 1:
            raise LookupError(f"{self.stack} registers {len(found)} resources {token} {name or ''}")
        return found[0]

    @property
    def exports(self) -> dict[str, Any]:
        return self.one(STACK_TYPE).outputs or {}

    @property
    def components(self) -> list[Resource]:
        return [item for item in self.resources if not item.custom and not item.remote and item.type != STACK_TYPE]

    def unparented(self) -> list[str]:
        """Resources directly below the stack that are neither a provider nor a component."""
        root = self.one(STACK_TYPE).urn
        return [
            item.urn
            for item in self.resources
            if item.parent in ("", root) and item.type != STACK_TYPE and not item.is_provider and item.custom
        ]

    def default_provider(self) -> list[str]:
        """Resources that no explicit provider manages."""
        managed = [item for item in self.resources if item.custom and not item.is_provider]
        remote = [item.urn for item in self.resources if item.remote and "aws" not in item.providers]
        return [item.urn for item in managed if not item.provider] + remote

    def depends_path(self, later: Resource, earlier: Resource) -> bool:
        """Whether the engine starts `later` only after `earlier` is done: a path of dependencies and providers.

        A parent is no edge: the engine waits for its registration, not for its other children.
        """
        by_urn = {item.urn: item for item in self.resources}
        pending, seen = [later], {later.urn}
        while pending:
            item = pending.pop()
            if item.urn == earlier.urn:
                return True
            edges = {*item.dependencies, item.provider.rpartition("::")[0]}
            for urn in edges & by_urn.keys() - seen:
                seen.add(urn)
                pending.append(by_urn[urn])
        return False


def stack_section(stack: str, section: str) -> Any:
    """A section of a stack file, as YAML reads it."""
    return yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"][f"slipway:{section}"]


class _Recorder:
    """The recording process of one hash seed."""

    def __init__(self, hash_seed: str) -> None:
        # The environment holds nothing that an AWS client could find.
        environment = {"PATH": os.environ["PATH"], "HOME": os.devnull, "PYTHONHASHSEED": hash_seed}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.recorder"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self.close)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        requests, answers = self._process.stdin, self._process.stdout
        if requests is None or answers is None:
            raise RuntimeError("the recorder has no pipes")
        with contextlib.suppress(BrokenPipeError):
            requests.write(json.dumps(request) + "\n")
            requests.flush()
        line = answers.readline()
        if not line:
            raise RuntimeError(f"the recorder ended with status {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._process.wait(timeout=SECONDS)


_recorder = functools.cache(_Recorder)


@functools.cache
def record_program(
    stack: str, *, preview: bool = False, overrides: str = "{}", hash_seed: str = "0", program: Path = PROGRAM
) -> Recorded:
    """Record the program for a stack; the same question is answered once per test run.

    Args:
        stack: Name of the stack file.
        preview: Whether computed properties stay unknown, as in a first preview.
        overrides: JSON object section → keys that replace those of the stack file.
        hash_seed: Seed of the hash function of the recording process.
        program: The program to run.

    Raises:
        RuntimeError: with the program's own message, if it or the recorder refused.
    """
    answer = _asked(hash_seed, stack, program=str(program), preview=preview, overrides=overrides)
    return Recorded(answer["stack"], tuple(Resource(**item) for item in answer["resources"]))


@functools.cache
def record_deployment(stack: str, *, overrides: str = "{}", hash_seed: str = "0") -> dict[str, Any]:
    """The deployment that `sandbox.recording` makes of a stack, as a state file holds it.

    Raises:
        RuntimeError: with the program's own message, if it or the sandbox refused.
    """
    return _asked(hash_seed, stack, sandbox=True, overrides=overrides)


def _asked(hash_seed: str, stack: str, *, overrides: str, sandbox: bool = False, **more: Any) -> dict[str, Any]:
    request = {"stack": stack, "sandbox": sandbox, "overrides": json.loads(overrides), **more}
    answer = _recorder(hash_seed).ask(request)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer
