"""For schemathesis: what an answer must be, whatever was asked; run by it, in its own environment."""

import json
import os

import graphql
import schemathesis

SEEN = os.environ["TORTURE_SEEN"]
with open(os.environ["TORTURE_SCHEMA"], encoding="utf-8") as file:
    SCHEMA = graphql.build_schema(file.read())


@schemathesis.check
def nothing_went_wrong(_ctx, response, case):
    body = json.loads(response.content)
    errors = body.get("errors", [])
    codes = [error.get("extensions", {}).get("code") for error in errors]
    with open(SEEN, "a", encoding="utf-8") as seen:
        seen.write(json.dumps([response.status_code, *codes]) + "\n")
    assert response.status_code < 500 or response.status_code == 503, f"status {response.status_code}"
    assert all(codes), "an error without a code"
    assert "INTERNAL" not in codes, "an error of ours"
    assert len(errors) <= 20, "many errors"
    if body.get("data") is not None:
        document = graphql.parse(case.body if isinstance(case.body, str) else case.body["query"])
        operation = document.definitions[0]
        root = SCHEMA.get_root_type(operation.operation)
        conforms(root, [operation.selection_set], body["data"], "data")


def fields_of(type_, selection_sets):
    """The fields that are selected on a type, under the names that they are answered with."""
    found = {}
    for selection_set in selection_sets:
        for selection in selection_set.selections:
            if isinstance(selection, graphql.FieldNode):
                name = (selection.alias or selection.name).value
                found.setdefault(name, []).append(selection)
            elif isinstance(selection, graphql.InlineFragmentNode):
                condition = selection.type_condition and SCHEMA.get_type(selection.type_condition.name.value)
                if condition in (None, type_) or SCHEMA.is_sub_type(condition, type_):
                    for name, fields in fields_of(type_, [selection.selection_set]).items():
                        found.setdefault(name, []).extend(fields)
    return found


def conforms(type_, selection_sets, value, path):
    """The value is one of the type, with the fields that were selected and no others."""
    if graphql.is_non_null_type(type_):
        assert value is not None, f"{path} is null"
        type_ = type_.of_type
    if value is None:
        return
    if graphql.is_list_type(type_):
        assert isinstance(value, list), f"{path} is no list"
        for number, item in enumerate(value):
            conforms(type_.of_type, selection_sets, item, f"{path}.{number}")
    elif graphql.is_enum_type(type_):
        assert value in type_.values, f"{path} is {value}"
    elif graphql.is_scalar_type(type_):
        right = {"Int": int, "Boolean": bool}.get(type_.name, str)
        assert type(value) is right, f"{path}: {value!r} is no {type_.name}"
    elif graphql.is_abstract_type(type_):
        # Without __typename, it may be any of those whose fields fit.
        possible = [one for one in SCHEMA.get_possible_types(type_) if fields_of(one, selection_sets).keys() == value.keys()]
        assert possible, f"{path} fits no type of {type_.name}"
        if len(possible) == 1:
            conforms(possible[0], selection_sets, value, path)
    else:
        fields = fields_of(type_, selection_sets)
        assert fields.keys() == value.keys(), f"{path} has {list(value)}, not {list(fields)}"
        for name, nodes in fields.items():
            if nodes[0].name.value == "__typename":
                assert value[name] == type_.name, f"{path}.{name} is {value[name]}"
                continue
            inside = [node.selection_set for node in nodes if node.selection_set]
            conforms(type_.fields[nodes[0].name.value].type, inside, value[name], f"{path}.{name}")
