"""Strict recorder: runs the real program with a real stack file and writes down every resource that it registers.

A process that reads requests from standard input and writes recordings to standard output; `tests.support.recorded`
talks to it. Every recording has a process of its own, because the SDK's state belongs to a process. It fails on a data
source, on two resources with one URN, on a type without an answer, on an Output that was formatted as text.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pulumi_aws as aws
import pulumi_eks as eks
import pulumi_kubernetes as kubernetes
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import mocks
from pulumi.runtime.proto import provider_pb2, resource_pb2

import components
import settings
from sandbox import recording
from sandbox.engine import PROJECT
from sandbox.recording import ROOT_TYPE
from sandbox.wire import SECRET, SIGNATURE, UNKNOWN
from settings import explain
from tests.support import answers

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATTED_OUTPUT = "Calling __str__ on an Output"


class RecordingError(Exception):
    """The program did something that the recorder does not accept."""


class StrictMonitor(mocks.MockMonitor):
    """Resource monitor that answers from a table and keeps every request."""

    def __init__(self, stack: str, account_id: str, region: str, *, preview: bool) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.hooks: set[str] = set()
        self._stack = stack
        self._states: dict[str, tuple[str, struct_pb2.Struct]] = {}
        self._place = (account_id, region)
        self._preview = preview
        self._lock = threading.Lock()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """The URN that the engine would give."""
        ancestry = parent.split("::")[2] if parent else ROOT_TYPE
        chain = type_ if ancestry == ROOT_TYPE else f"{ancestry}${type_}"
        return f"urn:pulumi:{self._stack}::{PROJECT}::{chain}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the name in the protocol
        urn = self.make_urn(request.parent, request.type, request.name)
        with self._lock:
            if urn in self.records:
                raise RecordingError(f"two resources have the URN {urn}")
            self.records[urn] = record(urn, request)
        if request.type == ROOT_TYPE:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        inputs = self.records[urn]["inputs"]
        if FORMATTED_OUTPUT in json.dumps(inputs):
            raise RecordingError(f"{urn}: an Output was formatted as text in {inputs}")
        state = struct_pb2.Struct()
        state.CopyFrom(request.object)
        if request.type == "eks:index:Cluster":
            physical = ""
            state.update(self._construct_control_plane(urn, request.name, inputs))
        elif request.custom:
            physical, computed = self._answer(urn, request.type, request.name, inputs)
            state.update(computed)
        else:
            physical = ""
        self._states[urn] = physical, state
        return resource_pb2.RegisterResourceResponse(urn=urn, id=physical, object=state)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the name in the protocol
        outputs, secrets = plain(request.outputs)
        self.records[request.urn]["outputs"] = outputs
        self.records[request.urn]["secret_outputs"] = secrets
        return empty_pb2.Empty()

    def RegisterResourceHook(self, request: Any) -> Any:  # noqa: N802 - the name in the protocol
        if request.name in self.hooks:
            raise RecordingError(f"two hooks have the name {request.name}")
        self.hooks.add(request.name)
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:  # noqa: N802 - the name in the protocol
        if request.tok != "pulumi:pulumi:getResource":
            raise RecordingError(f"the program asks for data with {request.tok}; a preview then needs an account")
        urn = request.args["urn"]
        physical, state = self._states[urn]
        answer = struct_pb2.Struct()
        answer.update({"urn": urn, "id": physical})
        answer.fields["state"].struct_value.CopyFrom(state)
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(answer)
        return response

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 - the name in the protocol
        raise RecordingError(f"the program reads the existing resource {request.name} ({request.type})")

    def _request(self, urn: str, name: str, inputs: Mapping[str, Any]) -> answers.Request:
        return answers.Request(urn, name, inputs, *self._place)

    def _answer(self, urn: str, token: str, name: str, inputs: Mapping[str, Any]) -> answers.Answer:
        if token not in answers.ANSWERS:
            raise RecordingError(f"{urn}: the recorder has no answer for {token}; add one to tests/support/answers.py")
        return ("", {}) if self._preview else answers.ANSWERS[token](self._request(urn, name, inputs))

    def _construct_control_plane(self, urn: str, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Register the one child of the remote component that this program reads; return the component's outputs."""
        child = self._request(
            self.make_urn(urn, "aws:eks/cluster:Cluster", f"{name}-eksCluster"), f"{name}-eksCluster", inputs
        )
        physical, computed = answers.control_plane(child)
        component = answers.control_plane_component(child)
        if self._preview:
            # In a preview the child knows its inputs, and the reference to it carries no id.
            physical, computed = "", {"name": inputs["name"], **dict.fromkeys(("endpoint", "arn"), UNKNOWN)}
            component = {
                key: UNKNOWN if isinstance(value, str) else {**value, "id": UNKNOWN} for key, value in component.items()
            }
        state = struct_pb2.Struct()
        state.update(computed)
        self._states[child.urn] = physical, state
        return component


def plain(properties: struct_pb2.Struct) -> tuple[dict[str, Any], list[str]]:
    """Properties without the wire's markers, and the dotted paths at which they held secrets."""
    secrets: list[str] = []

    def unwrap(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            if fields.get(SIGNATURE) == SECRET:
                secrets.append(path)
                return unwrap(fields["value"], path)
            return {key: unwrap(item, f"{path}.{key}" if path else key) for key, item in fields.items()}
        if isinstance(value, list):
            return [unwrap(item, f"{path}[{index}]") for index, item in enumerate(cast("list[Any]", value))]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    return unwrap(json_format.MessageToDict(properties), ""), secrets


def record(urn: str, request: Any) -> dict[str, Any]:
    """What is kept of a registration."""
    inputs, secrets = plain(request.object)
    return {
        "urn": urn,
        "type": request.type,
        "name": request.name,
        "parent": request.parent,
        "custom": request.custom,
        "remote": request.remote,
        "provider": request.provider,
        "providers": dict(request.providers),
        "inputs": inputs,
        "secrets": secrets,
        "dependencies": sorted(request.dependencies),
        "property_dependencies": {key: sorted(item.urns) for key, item in request.propertyDependencies.items()},
        "protect": request.protect,
        "ignore_changes": list(request.ignoreChanges),
        "aliases": len(request.aliases),
        "transforms": len(request.transforms),
        "before_delete": list(request.hooks.before_delete),
        "outputs": None,
        "secret_outputs": [],
    }


def load_stack(stack: str, overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Configuration of a stack file, with `overrides` laid over its sections."""
    sections = recording.stack_config(stack)
    for section, values in overrides.items():
        key = f"{PROJECT}:{section}"
        sections[key] = {**sections[key], **values} if isinstance(sections[key], dict) else values
    return sections


def run(stack: str, program: str, *, preview: bool, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Run the program at the path `program` and return the recording."""
    config = load_stack(stack, overrides)
    environment = config[f"{PROJECT}:environment"]
    place = environment["accountId"], environment["region"]
    monitor = recording.with_transforms(StrictMonitor)(stack, *place, preview=preview)
    recording.run_program(Path(program), monitor, stack, config, preview=preview)
    return {"stack": stack, "resources": [monitor.records[urn] for urn in sorted(monitor.records)]}


def warm_up() -> None:
    """Load what every recording loads; the SDKs import a module when something in it is used."""
    for package in (components, settings):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    explain.node(())
    _ = aws.cloudwatch.LogGroup, aws.ec2.Vpc, aws.ecr.Repository, aws.eks.NodeGroup, aws.iam.Role, aws.kms.Key
    _ = aws.s3.Bucket, aws.sagemaker.Model, aws.vpc.SecurityGroupEgressRule, eks.Cluster
    _ = kubernetes.core.v1.Namespace, kubernetes.networking.v1.NetworkPolicy, kubernetes.meta.v1.ObjectMetaArgs


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The recording, or what went wrong."""
    try:
        if request["sandbox"]:
            return recording.record(request["stack"], config=load_stack(request["stack"], request["overrides"]))
        return run(request["stack"], request["program"], preview=request["preview"], overrides=request["overrides"])
    except Exception:  # noqa: BLE001 - whatever the program raises is the answer
        return {"error": traceback.format_exc()}


def main() -> None:
    """Answer requests, one JSON object a line, each from a fresh copy of this process."""
    warm_up()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            sys.stdout.write(json.dumps({"error": f"the recording ended with status {status}"}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
