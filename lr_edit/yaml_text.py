"""YAML as DVC reads it, but that a key which is given twice is refused."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml

from lr_edit.errors import shorten


class GivenTwice(yaml.YAMLError):
    """A key that could be read in two ways."""

    def __init__(self, key: str, line: int) -> None:
        super().__init__(f"key {shorten(key)} is given twice, again in line {line}")
        self.line = line


_NUMBERS = {
    "int": r"[-+]?\d[\d_]*$|0x[0-9a-fA-F]+$",
    "float": r"[-+]?(\d+\.\d*|\.\d+)$|[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$|"
             r"[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$",
}  # fmt: skip


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML 1.2 numbers, as DVC reads and writes them: `5e-3` is one, `0200` is 200, and `3:20` is
    none."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, form) for tag, form in forms if tag.split(":")[-1] not in _NUMBERS]
        for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


for _tag, _form in {
    "int": r"[-+]?\d[\d_]*$|0x[0-9a-fA-F]+$",
    "float": r"[-+]?(\d+\.\d*|\.\d+)$|[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$|"
             r"[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$",
}.items():  # fmt: skip
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_form})"), list("-+0123456789.")
    )


def _whole(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    return int(text, 16 if "x" in text else 10)


_Loader.add_constructor("tag:yaml.org,2002:int", _whole)


MOST_VALUES = 10**6  # aliases written out: what names itself ten times ten times fills any memory
LONGEST = 4000  # digits of a number, of any base: Python prints no longer one


def load_yaml(text: str) -> Any:
    """A text's values. YAMLError for a key that is given twice, too (one may override what `<<`
    brings), for an alias inside of what it names, and for what no parameter can be."""
    loader = _Loader(text)
    try:
        top = loader.get_single_node()
        _count_values(top, {})
        todo, seen = [top], set()
        while todo:
            node = todo.pop()
            if id(node) in seen or not isinstance(node, yaml.CollectionNode):
                continue
            seen.add(id(node))  # an alias is the node that it names
            if isinstance(node, yaml.SequenceNode):
                todo += node.value
                continue
            keys = [(key.tag, str(key.value)) for key, _ in node.value]
            if len(set(keys)) < len(keys):
                place = next(n for n, key in enumerate(keys) if key in keys[:n])
                raise GivenTwice(keys[place][1], node.value[place][0].start_mark.line + 1)
            todo += [one for pair in node.value for one in pair]
        return loader.construct_document(top) if top else None
    finally:
        loader.dispose()


def _count_values(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many values a node stands for, aliases written out; `known`: those counted, 0 while they
    are."""
    if isinstance(node, yaml.ScalarNode) and len(node.value) > LONGEST and "int" in node.tag:
        raise yaml.YAMLError(f"a number of {len(node.value)} digits, in line {_line(node)}")
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = 0
        pairs = node.value if isinstance(node, yaml.MappingNode) else [node.value]
        known[id(node)] = 1 + sum(_count_values(one, known) for pair in pairs for one in pair)
    if known[id(node)] == 0:
        raise yaml.YAMLError(f"what begins in line {_line(node)} holds an alias of itself")
    if known[id(node)] > MOST_VALUES:
        raise yaml.YAMLError(f"aliases make more than {MOST_VALUES:,} values of line {_line(node)}")
    return known[id(node)]


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1
