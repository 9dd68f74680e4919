"""A parser for Bicep files: declarations, names and values, but no types.

`enabled: 'yes'` passes here and fails in `az bicep build`. Values are source text: `'TLS1_2'` includes its quotes.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

PARSER = Parser(Language(tree_sitter_bicep.language()))


@dataclass
class Resource:
    """A `resource` declaration. `kind` is the full type without the version; `properties` is flat: `properties.cors.allowedOrigins`."""

    symbol: str
    kind: str
    version: str
    existing: bool
    properties: dict[str, str]


@dataclass
class Module:
    symbol: str
    path: str
    params: dict[str, str]


@dataclass
class Template:
    path: Path
    source: str
    errors: list[str] = field(default_factory=list)
    #: Parameters with their defaults; None if required.
    params: dict[str, str | None] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    resources: list[Resource] = field(default_factory=list)
    modules: list[Module] = field(default_factory=list)
    #: Names that expressions refer to, except functions.
    used: set[str] = field(default_factory=set)
    #: Names of loop variables and lambda parameters.
    local: set[str] = field(default_factory=set)
    strings: list[str] = field(default_factory=list)

    @property
    def symbols(self) -> set[str]:
        named = {item.symbol for item in [*self.resources, *self.modules]}
        return named | self.params.keys() | self.variables.keys()

    def resource(self, kind: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.kind == kind and not resource.existing]


def read(path: Path) -> Template:
    """Parses one file. Syntax errors are in `errors`."""
    source = path.read_text()
    # The grammar does not support `extension` statements.
    known = re.sub(r"^extension \w+$", lambda match: "//".ljust(len(match[0])), source, flags=re.MULTILINE)
    template = Template(path, source)
    _visit(PARSER.parse(known.encode()).root_node, template, parent=None)
    return template


def _visit(node: Node, template: Template, parent: Resource | None) -> None:
    if node.type == "ERROR" or node.is_missing:
        template.errors.append(f"{template.path.name}:{node.start_point.row + 1}: cannot be read: {_text(node)[:60]!r}")
    declare = DECLARATIONS.get(node.type)
    if declare:
        parent = declare(node, template, parent) or parent
        # The rest of a declaration consists of expressions.
        children = node.named_children[1:]
    else:
        _record(node, template)
        children = node.named_children
    if node.type == "object_property" and children and children[0].type in ("identifier", "string") and len(children) > 1:
        children = children[1:]
    for child in children:
        _visit(child, template, parent)


def _record(node: Node, template: Template) -> None:
    if node.type == "string":
        template.strings.append(_text(node))
    if node.type in ("loop_variable", "loop_enumerator"):
        template.local.add(_text(node))
    if node.type == "identifier" and node.parent:
        binds = node.parent.type in ("for_statement", "lambda_expression") and node == node.parent.named_children[0]
        calls = node.parent.type == "call_expression" and node == node.parent.named_children[0]
        if binds:
            template.local.add(_text(node))
        elif not calls:
            template.used.add(_text(node))


def _parameter(node: Node, template: Template, _: Resource | None) -> None:
    name, *rest = (child for child in node.named_children if child.type != "type")
    template.params[_text(name)] = _text(rest[-1]) if rest else None


def _variable(node: Node, template: Template, _: Resource | None) -> None:
    template.variables[_text(node.named_children[0])] = _text(node.named_children[-1])


def _output(node: Node, template: Template, _: Resource | None) -> None:
    template.outputs[_text(node.named_children[0])] = _text(node.named_children[-1])


def _resource(node: Node, template: Template, parent: Resource | None) -> Resource:
    written = next(_text(child)[1:-1] for child in node.named_children if child.type == "string")
    kind, _, version = written.partition("@")
    if parent and "." not in kind:
        kind, version = f"{parent.kind}/{kind}", version or parent.version
    existing = any(_text(child) == "existing" for child in node.children)
    resource = Resource(_text(node.named_children[0]), kind, version, existing, flat(_body(node)))
    template.resources.append(resource)
    return resource


def _module(node: Node, template: Template, _: Resource | None) -> None:
    path = next(_text(child)[1:-1] for child in node.named_children if child.type == "string")
    body = flat(_body(node), depth=2)
    params = {name.removeprefix("params."): value for name, value in body.items() if name.startswith("params.")}
    template.modules.append(Module(_text(node.named_children[0]), path, params))


DECLARATIONS = {
    "parameter_declaration": _parameter,
    "variable_declaration": _variable,
    "output_declaration": _output,
    "resource_declaration": _resource,
    "module_declaration": _module,
}


def _body(declaration: Node) -> Node:
    """The object of a declaration, without its `if` or loop."""
    node = declaration.named_children[-1]
    while node.type != "object":
        node = node.named_children[-1]
    return node


def flat(node: Node, prefix: str = "", depth: int = 99) -> dict[str, str]:
    """The values of an object by their paths, without nested resources."""
    values: dict[str, str] = {}
    for item in node.named_children:
        if item.type != "object_property" or len(item.named_children) < 2:
            continue
        key, value = item.named_children[0], item.named_children[-1]
        path = prefix + _text(key).strip("'")
        if value.type == "object" and depth > 1:
            values |= flat(value, f"{path}.", depth - 1) or {path: "{}"}
        else:
            values[path] = _text(value)
    return values


def objects(expression: str) -> dict[str, str]:
    """The keys and values of all objects in an expression, as in `union({…}, x ? {} : {…})`."""
    values: dict[str, str] = {}
    pending = [PARSER.parse(f"var x = {expression}\n".encode()).root_node]
    while pending:
        node = pending.pop()
        if node.type == "object":
            values |= flat(node)
        pending.extend(node.named_children)
    return values


def _text(node: Node) -> str:
    return node.text.decode()
