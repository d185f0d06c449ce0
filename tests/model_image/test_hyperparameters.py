from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring import features, hyperparameters
from scoring.contract import Feature, Kind, Schema
from scoring.errors import UserError
from scoring.hyperparameters import PARSERS, Hyperparameters, parse


def test_every_field_has_a_parser_that_returns_the_fields_type() -> None:
    defaults = Hyperparameters(label="y")
    assert PARSERS.keys() == {item.name for item in fields(Hyperparameters)}
    for name, parser in PARSERS.items():
        value = getattr(defaults, name)
        assert type(parser(str(value))) is type(value)
        assert parser(str(value)) == value


def test_strings_become_typed_values_and_the_rest_keeps_its_default() -> None:
    parsed = parse({"label": "late", "eta": "0.3", "num_round": "7", "_tuning_objective_metric": "x"})
    assert (parsed.label, parsed.eta, parsed.num_round, parsed.max_depth) == ("late", 0.3, 7, 6)


def test_all_problems_come_in_one_message_with_value_and_remedy() -> None:
    with pytest.raises(UserError) as caught:
        parse({"max_dept": "3", "eta": "0", "seed": "x", "num_round": 5, "objective": "reg:linear"})
    lines = str(caught.value).splitlines()
    assert "'max_dept' is unknown; did you mean 'max_depth'?" in lines[0]
    assert "'eta' is '0'; expected a number above 0 and at most 1" in lines[1]
    assert "'seed' is 'x'; expected a whole number from 0 to 2147483647" in lines[2]
    assert "'num_round' must be a string" in lines[3]
    assert "'objective' is 'reg:linear'; expected one of: binary:logistic" in lines[4]
    assert lines[5].startswith("hyperparameter 'label' is missing")
    assert len(lines) == 6


@given(st.sampled_from(sorted(PARSERS.keys() - {"label"})), st.text(max_size=12))
def test_no_text_makes_a_parser_fail_in_another_way_than_a_clear_refusal(name: str, text: str) -> None:
    try:
        expected = PARSERS[name](text)
    except ValueError:
        with pytest.raises(UserError, match=repr(name)):
            parse({"label": "y", name: text})
    else:
        assert hyperparameters.as_mapping(parse({"label": "y", name: text}))[name] == expected


def test_directions_of_columns_have_one_spelling() -> None:
    parsed = parse({"label": "y", "monotone_constraints": ' {"b": -1,\n"a":1} '})
    assert parsed.monotone_constraints == '{"a":1,"b":-1}'
    assert parsed.constraints == {"a": 1, "b": -1}
    assert parse({"label": "y"}).constraints == {}


@pytest.mark.parametrize(
    "text", ["", "1", "(1,-1)", "[1]", '{"a": 2}', '{"a": 0}', '{"a": "1"}', '{"a": true}', '{"a": 1.0}']
)
def test_directions_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected a JSON object of columns and 1 or -1"):
        parse({"label": "y", "monotone_constraints": text})


def test_what_does_not_go_together_is_told_all_at_once() -> None:
    told = {"label": "y", "grow_policy": "lossguide", "objective": "multi:softprob", "num_class": "1"}
    with pytest.raises(UserError) as caught:
        parse({**told, "monotone_constraints": '{"y": 1}', "class_weight": "balanced", "scale_pos_weight": "2"})
    assert [line.split("'")[1] for line in str(caught.value).splitlines()] == [
        *("scale_pos_weight", "scale_pos_weight", "num_class", "grow_policy", "monotone_constraints"),
        "monotone_constraints",
    ]
    assert parse({"label": "y", "grow_policy": "lossguide", "max_leaves": "31"}).max_leaves == 31


def test_only_columns_of_numbers_have_a_direction() -> None:
    schema = Schema("y", (Feature("distance"), Feature("carrier", Kind.CATEGORICAL, ("AA", "UA"))))
    features.check_constraints(schema, {"distance": -1})
    with pytest.raises(UserError) as caught:
        features.check_constraints(schema, {"distanse": 1, "carrier": 1})
    assert str(caught.value).splitlines() == [
        "hyperparameter 'monotone_constraints' names 'distanse', which is no feature; did you mean 'distance'?",
        "hyperparameter 'monotone_constraints' names 'carrier', which holds texts: only numbers have a direction",
    ]


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e400", "1_0", ""])
def test_numbers_that_are_not_finite_or_not_plain_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected a number at least 0"):
        parse({"label": "y", "reg_lambda": text})
