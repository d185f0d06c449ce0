"""A deployment from nothing without an engine: the program runs in this process, the sandbox's backends answer.

The resource monitor below does what the engine does for a first update: it asks the backends to check and create every
resource, applies transforms, and builds the remote component `eks:index:Cluster` beside the program. What it holds at
the end is what `Engine.up` would write into the state; a test compares the two. Nothing in it is unknown, so the
policies can judge every document in a pull request, without a Pulumi CLI, credentials or a network.

`python -m sandbox.recording FOLDER STACK…` writes `<stack>.json` in the format of `pulumi stack export`, secrets in
clear text; every recording has a process of its own, because the SDK's state belongs to a process.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import os
import runpy
import sys
import threading
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast
from urllib.parse import unquote, urlsplit

import grpc
import pulumi_aws as aws
import pulumi_eks as eks
import pulumi_kubernetes as kubernetes
import yaml
from google.protobuf import empty_pb2, struct_pb2
from pulumi.provider import server as provider_server
from pulumi.runtime import mocks, set_all_config, settings
from pulumi.runtime.proto import (
    callback_pb2,
    callback_pb2_grpc,
    provider_pb2,
    resource_pb2,
    resource_pb2_grpc,
)
from pulumi.runtime.stack import run_in_stack

from sandbox.callbacks import ProgramLoop
from sandbox.chaos import Chaos
from sandbox.engine import PROJECT, ROOT
from sandbox.garbage import not_collected
from sandbox.providers.aws import AwsBackend
from sandbox.providers.eks import TOKEN as CONTROL_PLANE
from sandbox.providers.eks import EksProvider
from sandbox.providers.kubernetes import KubernetesBackend
from sandbox.wire import OUTPUT, SECRET, SIGNATURE, Json, Properties, to_python, to_struct
from sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.providers.kinds import Kind
    from sandbox.providers.resources import ResourceBackend

_Request: TypeAlias = resource_pb2.RegisterResourceRequest
_Response: TypeAlias = resource_pb2.RegisterResourceResponse
_M = TypeVar("_M", bound=mocks.MockMonitor)

ROOT_TYPE: Final = "pulumi:pulumi:Stack"
_OUTSIDE: Final = ("sandbox", "tests", ".venv")
"""Folders of the checkout whose lines did not decide that a resource exists."""


class RecordingError(Exception):
    """The program did something that a deployment without an engine cannot show; the text is for the user."""


class _AwsWithoutBounds(AwsBackend):
    """AWS without the bounds of its service models: to load those would take longer than the recording.

    They change no value; `make preview` judges by them.
    """

    def kind(self, token: str) -> Kind:
        """The behaviour of a type."""
        return replace(super().kind(token), api=None)


_BACKENDS: Final[dict[str, type[ResourceBackend]]] = {"aws": _AwsWithoutBounds, "kubernetes": KubernetesBackend}


class _Monitor(mocks.MockMonitor):
    """Resource monitor of one program run. The SDK calls it from several threads."""

    def __init__(self, stack: str) -> None:
        self.stack = stack
        self.held: dict[str, dict[str, Any]] = {}
        self._answers: dict[str, struct_pb2.Struct] = {}
        self._transforms: dict[str, list[callback_pb2.Callback]] = {}
        self._backends: dict[str, ResourceBackend] = {}
        self._world = World(Path(":memory:"))
        self._lock = threading.Lock()
        self._program: ProgramLoop | None = None

    def begin(self) -> None:
        """Remember the program's event loop, on which the remote component is built."""
        self._program = ProgramLoop()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """The URN that the engine would give."""
        above = parent.split("::")[2] if parent else ROOT_TYPE
        chain = type_ if above == ROOT_TYPE else f"{above}${type_}"
        return f"urn:pulumi:{self.stack}::{PROJECT}::{chain}::{name}"

    def SupportsFeature(self, request: object) -> type:  # noqa: N802 - the name in the protocol
        del request
        return type("SupportsFeatureResponse", (), {"hasSupport": True})

    def RegisterResource(self, request: _Request) -> _Response:  # noqa: N802 - the name in the protocol
        urn = self.make_urn(request.parent, request.type, request.name)
        self._inherit_transforms(urn, request)
        if request.remote:
            return self._construct(urn, request)
        self._transform(urn, request)
        inputs, outputs, id_ = _plain(request.object), Properties(), ""
        if request.type.startswith("pulumi:providers:"):
            inputs |= {"version": request.version} if request.version else {}
            id_, outputs = self._provider(urn, inputs), inputs
        elif request.custom:
            inputs, outputs, id_ = self._create(urn, request, inputs)
        answer = to_struct(outputs)
        for name, given in request.object.fields.items():
            if not request.custom or outputs.get(name) == inputs.get(name):
                answer.fields[name].CopyFrom(given)  # as it came: a secret stays one
        with self._lock:
            if urn in self.held:
                raise RecordingError(f"two resources have the URN {urn}")
            self.held[urn] = _record(urn, request, inputs, outputs, id_)
            self._answers[urn] = answer
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id_, object=answer)

    def RegisterResourceHook(self, request: object) -> empty_pb2.Empty:  # noqa: N802 - the name in the protocol
        del request  # hooks before a deletion have nothing to do in an update from nothing
        return empty_pb2.Empty()

    def RegisterResourceOutputs(  # noqa: N802 - the name in the protocol
        self, request: resource_pb2.RegisterResourceOutputsRequest
    ) -> empty_pb2.Empty:
        self.held[request.urn]["outputs"] = _plain(request.outputs)
        return empty_pb2.Empty()

    def Invoke(  # noqa: N802 - the name in the protocol
        self, request: resource_pb2.ResourceInvokeRequest
    ) -> provider_pb2.InvokeResponse:
        if request.tok != "pulumi:pulumi:getResource":
            raise RecordingError(f"the program asks for data with {request.tok}; name the value in the stack file")
        urn = request.args.fields["urn"].string_value
        found = struct_pb2.Struct()
        found.update({"urn": urn, "id": self.held[urn].get("id", "")})
        found.fields["state"].struct_value.CopyFrom(self._answers[urn])
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(found)
        return response

    def ReadResource(  # noqa: N802 - the name in the protocol
        self, request: resource_pb2.ReadResourceRequest
    ) -> resource_pb2.ReadResourceResponse:
        raise RecordingError(f"the program reads the existing resource {request.name} ({request.type})")

    def _provider(self, urn: str, inputs: Properties) -> str:
        package = urn.split("::")[2].rpartition(":")[2]
        if package not in _BACKENDS:
            raise RecordingError(f"{urn}: the sandbox has no provider {package}")
        backend = _BACKENDS[package](importlib.metadata.version(f"pulumi-{package}"), self._world, Chaos())
        backend.configure(inputs)
        self._backends[urn] = backend
        return f"{self._world.birth(urn):032x}"

    def _create(self, urn: str, request: _Request, news: Properties) -> tuple[Properties, Properties, str]:
        backend = self._backends.get(request.provider.rpartition("::")[0])
        if backend is None:
            raise RecordingError(f"{urn}: no explicit provider manages it")
        inputs, failures = backend.check(urn, {}, news)
        if failures:
            problems = "; ".join(f"{failure.path}: {failure.reason}" for failure in failures)
            raise RecordingError(f"{urn}: {problems}")
        id_, outputs = backend.create(urn, inputs)
        return inputs, outputs, id_

    def _inherit_transforms(self, urn: str, request: _Request) -> None:
        with self._lock:
            own = cast("list[callback_pb2.Callback]", [*cast("Any", request).transforms])
            own += self._transforms.get(request.parent, [])
            self._transforms.setdefault(urn, own)

    def _transform(self, urn: str, request: _Request) -> None:
        """Apply the transforms of the resource and of those above it to its properties; options stay as they are."""
        for callback in self._transforms[urn]:
            asked = resource_pb2.TransformRequest(
                type=request.type,
                name=request.name,
                custom=request.custom,
                parent=request.parent,
                properties=request.object,
                options=resource_pb2.TransformResourceOptions(),
            )
            with grpc.insecure_channel(callback.target) as channel:
                client: Any = callback_pb2_grpc.CallbacksStub(channel)
                answer: callback_pb2.CallbackInvokeResponse = client.Invoke(
                    callback_pb2.CallbackInvokeRequest(token=callback.token, request=asked.SerializeToString())
                )
            changed = resource_pb2.TransformResponse.FromString(answer.response)
            request.object.CopyFrom(changed.properties)

    def _construct(self, urn: str, request: _Request) -> _Response:
        """Build the remote component with the sandbox's own provider, on the event loop of the program."""
        if request.type != CONTROL_PLANE:
            raise RecordingError(f"{urn}: the sandbox builds no remote component {request.type}")
        servicer = provider_server.ProviderServicer(EksProvider(importlib.metadata.version("pulumi-eks")), [], "")
        asked = provider_pb2.ConstructRequest(
            parent=request.parent,
            protect=request.protect,
            providers=dict(request.providers),
            dependencies=list(request.dependencies),
            ignoreChanges=list(request.ignoreChanges),
        )
        dependencies = {
            name: provider_pb2.ConstructRequest.PropertyDependencies(urns=each.urns)
            for name, each in request.propertyDependencies.items()
        }

        async def build() -> provider_pb2.ConstructResponse:
            inputs = await servicer._construct_inputs(request.object, dependencies)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what the SDK's own plugin does with a request
            options = servicer._construct_options(asked)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - likewise
            built = servicer.provider.construct(request.name, request.type, inputs, options)
            return await servicer._construct_response(built)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - likewise

        if self._program is None:
            raise RecordingError("the program has not begun")
        built = self._program.run(build)
        with self._lock:
            self.held[urn]["outputs"] = _plain(built.state)
            self._answers[urn] = built.state
        edges = resource_pb2.RegisterResourceResponse.PropertyDependencies
        return resource_pb2.RegisterResourceResponse(
            urn=urn,
            object=built.state,
            propertyDependencies={name: edges(urns=each.urns) for name, each in built.stateDependencies.items()},
        )


def record(
    stack: str, *, config: Mapping[str, Any] | None = None, program: Path = ROOT / "__main__.py"
) -> dict[str, Any]:
    """Run the program for a stack and return the deployment that an update from nothing would leave.

    Args:
        stack: Environment; its stack file is read unless `config` is given.
        config: Configuration by full key, as in a stack file.
        program: The program to run.

    Raises:
        RecordingError: The program or a provider refused, or it did what only an engine can answer.
    """
    given = stack_config(stack) if config is None else config
    monitor = with_transforms(_Monitor)(stack)
    run_program(program, monitor, stack, given, begin=monitor.begin)
    return {"version": 3, "deployment": {"resources": list(monitor.held.values())}}


def with_transforms(monitor: type[_M]) -> type[_M]:
    """The monitor as a subclass of the SDK's gRPC client: the SDK offers transforms to nothing else."""
    return cast("type[_M]", type(monitor.__name__, (monitor, resource_pb2_grpc.ResourceMonitorStub), {}))


def run_program(
    program: Path,
    monitor: mocks.MockMonitor,
    stack: str,
    config: Mapping[str, Any],
    *,
    preview: bool = False,
    begin: Callable[[], None] | None = None,
) -> None:
    """Run a program in this process, whose state of the SDK is spent afterwards.

    Args:
        program: The program to run.
        monitor: What answers in the engine's place.
        stack: Environment.
        config: Configuration by full key, as in a stack file.
        preview: Whether the program is told that nothing will be made.
        begin: Called on the program's event loop before the program.
    """
    settings.configure(
        mocks.MockSettings(
            monitor=monitor,
            engine=mocks.MockEngine(None),
            project=PROJECT,
            stack=stack,
            dry_run=preview,
            organization=None,
        )
    )
    set_all_config({key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()})

    def start() -> None:
        if begin is not None:
            begin()
        runpy.run_path(str(program), run_name="__main__")

    with not_collected():
        asyncio.run(run_in_stack(start))


def stack_config(stack: str) -> dict[str, Any]:
    """The configuration in a stack file."""
    return yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]


def _plain(properties: struct_pb2.Struct) -> Properties:
    """Properties without the wire's envelopes of secrets and outputs."""
    return {name: _unwrapped(value) for name, value in to_python(properties).items()}


def _unwrapped(value: Json) -> Json:
    match value:
        case dict():
            if value.get(SIGNATURE) in (SECRET, OUTPUT):
                return _unwrapped(value.get("value"))
            return {name: _unwrapped(each) for name, each in value.items()}
        case list():
            return [_unwrapped(each) for each in value]
        case _:
            return value


def _record(urn: str, request: _Request, inputs: Properties, outputs: Properties, id_: str) -> dict[str, Any]:
    """One resource as a state file holds it, without what is empty."""
    edges = {name: sorted(each.urns) for name, each in request.propertyDependencies.items()}
    kept = {
        "id": id_,
        "inputs": inputs,
        "outputs": {name: value for name, value in outputs.items() if value is not None},
        "parent": request.parent,
        "protect": request.protect,
        "provider": request.provider,
        "dependencies": sorted(request.dependencies),
        "propertyDependencies": edges,
        "sourcePosition": _source(request),
    }
    return {"urn": urn, "custom": request.custom, "type": request.type} | {k: v for k, v in kept.items() if v}


def _source(request: _Request) -> str:
    """The innermost line of the checkout that registered the resource, as `project:///file#line`."""
    asked: Any = request
    for frame in (asked.sourcePosition, *(each.pc for each in asked.stackTrace.frames)):
        uri: str = frame.uri
        path = Path(unquote(urlsplit(uri).path))
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] not in _OUTSIDE:
            return f"project:///{path.relative_to(ROOT)}#{frame.line}"
    return ""


def record_all(stacks: Sequence[str], folder: Path) -> None:
    """Write `<stack>.json` for each stack, or `<stack>.error` with a traceback; at most one process per core at a time.

    The processes are copies of this one, so that the SDKs are loaded once.
    """
    _load_sdks()
    running: set[int] = set()
    for stack in stacks:
        if len(running) >= (os.cpu_count() or 1):
            running.remove(os.wait()[0])
        child = os.fork()
        if not child:
            _record_into(folder, stack)
            os._exit(0)
        running.add(child)
    for child in running:
        os.waitpid(child, 0)


def _record_into(folder: Path, stack: str) -> None:
    try:
        text = json.dumps(record(stack))
    except BaseException:  # noqa: BLE001 - whatever the program raises is the answer
        (folder / f"{stack}.error").write_text(traceback.format_exc(), encoding="utf-8")
    else:
        (folder / f"{stack}.json").write_text(text, encoding="utf-8")


def _load_sdks() -> None:
    """Load what every recording needs: the SDKs import a module when something in it is first used."""
    _ = aws.cloudwatch.LogGroup, aws.ec2.Vpc, aws.ecr.Repository, aws.eks.NodeGroup, aws.iam.Role, aws.kms.Key
    _ = aws.s3.Bucket, aws.sagemaker.Model, aws.vpc.SecurityGroupEgressRule, aws.sqs.Queue, eks.Cluster
    _ = kubernetes.core.v1.Namespace, kubernetes.networking.v1.NetworkPolicy, kubernetes.helm.v3.Release


def main(arguments: Sequence[str]) -> int:
    """Write the deployments of some environments; 1 when one could not be made."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.recording")
    parser.add_argument("folder", type=Path)
    parser.add_argument("stacks", nargs="+", metavar="STACK")
    parsed = parser.parse_args(arguments)
    record_all(parsed.stacks, parsed.folder)
    return 0 if all((parsed.folder / f"{stack}.json").exists() for stack in parsed.stacks) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
