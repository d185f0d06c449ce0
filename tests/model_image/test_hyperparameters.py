from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring import hyperparameters
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


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e400", "1_0", ""])
def test_numbers_that_are_not_finite_or_not_plain_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected a number at least 0"):
        parse({"label": "y", "reg_lambda": text})
