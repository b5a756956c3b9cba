"""Hooks of schemathesis: each response conforms to the schema and reports no fault of the server.

schemathesis imports this module in its own process (`SCHEMATHESIS_HOOKS`). Two environment
variables name its files: `TORTURE_SCHEMA` the SDL, `TORTURE_RESPONSES` the log of responses.
"""

import json
import os

import graphql
import schemathesis

MAX_ERRORS = 20
RESPONSE_LOG = os.environ["TORTURE_RESPONSES"]
with open(os.environ["TORTURE_SCHEMA"], encoding="utf-8") as file:
    SCHEMA = graphql.build_schema(file.read())


@schemathesis.check
def response_conforms(_context, response, case):
    body = json.loads(response.content)
    errors = body.get("errors", [])
    codes = [error.get("extensions", {}).get("code") for error in errors]
    with open(RESPONSE_LOG, "a", encoding="utf-8") as log:
        log.write(json.dumps([response.status_code, *codes]) + "\n")
    assert response.status_code < 500 or response.status_code == 503, (
        f"status {response.status_code}"
    )
    assert all(codes), "an error has no code"
    assert "INTERNAL" not in codes, "an error has the code INTERNAL"
    assert len(errors) <= MAX_ERRORS, f"{len(errors)} errors, expected at most {MAX_ERRORS}"
    if body.get("data") is not None:
        document = graphql.parse(case.body if isinstance(case.body, str) else case.body["query"])
        operation = document.definitions[0]
        root = SCHEMA.get_root_type(operation.operation)
        assert_conforms(root, [operation.selection_set], body["data"], "data")


def collect_fields(type_, selection_sets):
    """The field nodes that are selected on an object type, by response key."""
    fields = {}
    for selection_set in selection_sets:
        for selection in selection_set.selections:
            if isinstance(selection, graphql.FieldNode):
                key = (selection.alias or selection.name).value
                fields.setdefault(key, []).append(selection)
            elif isinstance(selection, graphql.InlineFragmentNode):
                condition = selection.type_condition
                condition = condition and SCHEMA.get_type(condition.name.value)
                if condition in (None, type_) or SCHEMA.is_sub_type(condition, type_):
                    for key, nodes in collect_fields(type_, [selection.selection_set]).items():
                        fields.setdefault(key, []).extend(nodes)
    return fields


def assert_conforms(type_, selection_sets, value, path):
    """The value has the type, and its fields are exactly the selected fields."""
    if graphql.is_non_null_type(type_):
        assert value is not None, f"{path} is null"
        type_ = type_.of_type
    if value is None:
        return
    if graphql.is_list_type(type_):
        assert isinstance(value, list), f"{path} is not a list"
        for index, item in enumerate(value):
            assert_conforms(type_.of_type, selection_sets, item, f"{path}.{index}")
    elif graphql.is_enum_type(type_):
        assert value in type_.values, f"{path} is {value}"
    elif graphql.is_scalar_type(type_):
        expected = {"Int": int, "Boolean": bool}.get(type_.name, str)
        assert type(value) is expected, f"{path}: {value!r} is not a {type_.name}"
    elif graphql.is_abstract_type(type_):
        # Without __typename the value may have any possible type whose fields match.
        possible = [
            candidate
            for candidate in SCHEMA.get_possible_types(type_)
            if collect_fields(candidate, selection_sets).keys() == value.keys()
        ]
        assert possible, f"{path} matches no possible type of {type_.name}"
        if len(possible) == 1:
            assert_conforms(possible[0], selection_sets, value, path)
    else:
        assert_object_conforms(type_, selection_sets, value, path)


def assert_object_conforms(type_, selection_sets, value, path):
    fields = collect_fields(type_, selection_sets)
    assert fields.keys() == value.keys(), f"{path} has {list(value)}, not {list(fields)}"
    for key, nodes in fields.items():
        name = nodes[0].name.value
        if name == "__typename":
            assert value[key] == type_.name, f"{path}.{key} is {value[key]}"
            continue
        nested = [node.selection_set for node in nodes if node.selection_set]
        assert_conforms(type_.fields[name].type, nested, value[key], f"{path}.{key}")
