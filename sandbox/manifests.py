"""Manifests as Kubernetes' own tools read them: YAML whose scalars are those of JSON."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import yaml

Object: TypeAlias = dict[str, Any]
"""One Kubernetes object, as JSON."""

NO_SCALARS: Final = frozenset({"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"})
"""YAML 1.1 reads dates and a lone `=` as types of their own; sigs.k8s.io/yaml, which Kubernetes uses, as strings."""


class _Loader(yaml.CSafeLoader):
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML keeps its resolvers so
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in NO_SCALARS]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def read_manifests(text: str) -> list[Object]:
    """The objects of a file or of Helm's output; empty documents are none."""
    return [item for item in yaml.load_all(text, _Loader) if item]
