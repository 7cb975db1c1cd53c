"""YAML of which people and PyYAML think the same."""

import re
from typing import Any

import yaml

_BOOLEAN_TAG, _DATE_TAG = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"
_BOOLEAN = re.compile("^(?:true|false)$")

YamlInvalid = yaml.YAMLError
"""What `read_yaml` raises."""


def read_yaml(text: str) -> Any:
    """Read one document. Raises `YamlInvalid`."""
    return yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader


class _StrictLoader(yaml.SafeLoader):
    """`off`, `no` and dates are text, as in YAML 1.2, and no key is there twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way
        first: [(tag, _BOOLEAN if tag == _BOOLEAN_TAG else pattern) for tag, pattern in resolvers if tag != _DATE_TAG]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build one mapping; a key that is there twice would silently hide the first."""
        keys = [key.value for key, _ in node.value]
        if twice := [key for position, key in enumerate(keys) if key in keys[:position]]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)
