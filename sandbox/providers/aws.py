"""Provider plugin `aws` of the sandbox."""

from __future__ import annotations

import importlib.metadata
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pulumi_aws

from sandbox.chaos import Chaos
from sandbox.providers.aws_kinds import KINDS
from sandbox.providers.constraints import service_failures
from sandbox.providers.kinds import Kind, Place
from sandbox.providers.plugin import ProviderError, serve
from sandbox.providers.resources import ResourceBackend
from sandbox.schema import Failure, structure_failures
from sandbox.wire import UNKNOWN
from sandbox.world import World

if TYPE_CHECKING:
    from sandbox.schema import ResourceSchema
    from sandbox.wire import Json, Properties

FOLDER_VARIABLE: Final = "SLIPWAY_SANDBOX"
"""Names the folder of the world and of what is to go wrong in it."""

_ENGINE_KEYS: Final = ("version", "pluginDownloadURL")
_DOCUMENTS: Final = ("policy", "assumeRolePolicy")


class AwsBackend(ResourceBackend):
    """AWS as far as a plan can show it."""

    def __init__(self, version: str, world: World, chaos: Chaos) -> None:
        super().__init__(version, world, chaos)
        self._default_tags: dict[str, Json] = {}

    def kind(self, token: str) -> Kind:
        """Returns the behaviour of a type."""
        if token not in KINDS:
            raise ProviderError(f"{token} has no row in sandbox/providers/aws_kinds: add how it behaves")
        return KINDS[token]

    def check_config(self, inputs: Properties) -> list[Failure]:
        """Returns what is wrong with the provider's own configuration."""
        given = {name: value for name, value in _decoded(inputs).items() if name not in _ENGINE_KEYS}
        return structure_failures(pulumi_aws.ProviderArgs, given)

    def configure(self, inputs: Properties) -> None:
        """Takes region, account and default tags."""
        config = _decoded(inputs)
        accounts, tags = config.get("allowedAccountIds"), config.get("defaultTags")
        region = str(config.get("region") or "us-east-1")
        account = str(accounts[0]) if isinstance(accounts, list) and accounts else "000000000000"
        self._place = Place(_partition(region), account, region)
        given = tags.get("tags") if isinstance(tags, dict) else None
        self._default_tags = given if isinstance(given, dict) else {}

    def fill_in(self, schema: ResourceSchema, news: Properties) -> Properties:
        """Returns the inputs with the merged tags that the real provider keeps as `tagsAll`."""
        inputs = dict(news)
        if "tags" in schema.inputs and "tagsAll" in schema.outputs:
            tags = inputs.get("tags")
            inputs["tagsAll"] = {**self._default_tags, **tags} if isinstance(tags, dict) else dict(self._default_tags)
        return inputs

    def refusals(self, kind: Kind, inputs: Properties) -> list[Failure]:
        """Returns what the service's model and its policy parser refuse."""
        failures = service_failures(kind.api, inputs) if kind.api else []
        return failures + [failure for name in _DOCUMENTS for failure in _document_failures(name, inputs.get(name))]


def _decoded(inputs: Properties) -> Properties:
    """Provider configuration travels with every nested value as JSON text."""
    decoded: Properties = {}
    for name, value in inputs.items():
        nested = (isinstance(value, str) and value[:1] in ("[", "{")) or value in ("true", "false")
        decoded[name] = json.loads(value) if nested and isinstance(value, str) else value
    return decoded


def _partition(region: str) -> str:
    prefixes = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    return next((name for prefix, name in prefixes.items() if region.startswith(prefix)), "aws")


def _document_failures(name: str, value: Json) -> list[Failure]:
    if not isinstance(value, str) or value == UNKNOWN:
        return []
    try:
        document = json.loads(value)
    except ValueError as error:
        return [Failure(name, f"MalformedPolicyDocument: {error}")]
    return [] if isinstance(document, dict) else [Failure(name, "MalformedPolicyDocument: expected an object")]


def main() -> None:
    """Serves the plugin."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    version = importlib.metadata.version("pulumi-aws")
    serve(AwsBackend(version, World(folder / "world.db"), Chaos.load(folder)))


if __name__ == "__main__":
    main()
