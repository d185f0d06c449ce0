"""Tri-state reading."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi_policy import Secret
from pulumi_policy.proxy import unknown_checking_proxy

from guardrails.view import UNKNOWN, UNKNOWN_SENTINELS, Known, Missing, Unknown, Value, all_of, any_of, value_of

PROPERTIES: dict[str, Any] = {
    "vpc": {"cidrs": ["10.0.0.0/16", UNKNOWN], "open": False, "__defaults": []},
    "tags": {"kubernetes.io/role/elb": "1", "__defaults": ["x"], "later": UNKNOWN},
    "limit": 1.0,
    "empty": "",
    "nothing": None,
    "rule": {"key": "k"},
    "policy": json.dumps({"Statement": [{"Effect": "Allow"}]}),
}


def proxied() -> Mapping[str, Any]:
    return unknown_checking_proxy(PROPERTIES)


@pytest.mark.parametrize("raw", [PROPERTIES, proxied()], ids=["plain", "proxy"])
def test_a_path_reads_the_same_from_plain_values_and_from_the_sdk_s_proxies(raw: Mapping[str, Any]) -> None:
    root = value_of(raw)
    assert root.get("vpc.cidrs[0]") == Known("vpc.cidrs[0]", "10.0.0.0/16")
    assert root.get("vpc.cidrs[1]") == Unknown("vpc.cidrs[1]")
    assert root.get("vpc.cidrs[2]") == Missing("vpc.cidrs[2]")
    assert root.get('tags["kubernetes.io/role/elb"]').text() == "1"
    assert root.get("vpc.open").flag() is False
    assert root.get("limit").number() == 1
    assert isinstance(root.get("absent.deep[0].deeper"), Missing)
    assert isinstance(root.get("tags.later.below"), Unknown)
    assert [type(each) for each in (root.get("empty"), root.get("nothing"))] == [Missing, Missing]


@pytest.mark.parametrize("raw", [PROPERTIES, proxied()], ids=["plain", "proxy"])
def test_iteration_skips_the_engine_s_keys_and_keeps_unknown_members(raw: Mapping[str, Any]) -> None:
    root = value_of(raw)
    assert [key for key, _ in root.get("tags").items()] == ["kubernetes.io/role/elb", "later"]
    assert root.select("vpc.cidrs[*]") == (Known("vpc.cidrs[0]", "10.0.0.0/16"), Unknown("vpc.cidrs[1]"))
    assert root.select("tags.later[*].x") == (Unknown("tags.later[*].x"),)
    assert root.select("absent[*].x") == ()
    assert root.select("rule[*].key") == (Known("rule.key", "k"),)


def test_json_text_reads_on_under_the_same_path_and_broken_text_stays_text() -> None:
    root = value_of(PROPERTIES)
    assert root.get("policy").json().get("Statement[0].Effect") == Known("policy.Statement[0].Effect", "Allow")
    assert value_of("{broken").json() == Known("", "{broken")
    assert isinstance(value_of(UNKNOWN).json(), Unknown)


@pytest.mark.parametrize("sentinel", sorted(UNKNOWN_SENTINELS))
def test_every_placeholder_of_the_sdk_is_unknown(sentinel: str) -> None:
    assert isinstance(value_of(sentinel, "x"), Unknown)


def test_the_placeholders_are_the_sdk_s() -> None:
    from pulumi_policy import proxy  # noqa: PLC0415 - its constants are compared by name here only

    theirs = {value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_")}
    assert theirs == UNKNOWN_SENTINELS


def test_envelopes_open_and_a_ciphertext_stays_closed() -> None:
    signature = "4dabf18193072939515e22adb298388d"
    secret, output = "1b47061264138c4ac30d75fd1eb44270", "d0e6a833031e9bbcd3f4e8bde6ca49a4"
    assert value_of({signature: secret, "value": {"a": 1}}).get("a").number() == 1
    assert value_of({signature: secret, "plaintext": '{"a": 1}'}).get("a").number() == 1
    assert isinstance(value_of({signature: secret, "ciphertext": "v1:…"}), Unknown)
    assert isinstance(value_of({signature: output}), Unknown)
    assert value_of({signature: output, "value": "x"}).text() == "x"
    assert value_of(Secret("x")).text() == "x"
    assert isinstance(value_of("[secret]"), Unknown)


def test_text_of_booleans_and_numbers_is_read() -> None:
    assert [value_of(raw).flag() for raw in ("true", "False", True, "yes", 1)] == [True, False, True, None, None]
    assert [value_of(raw).number() for raw in ("2", 2, 2.0, True, "x")] == [2, 2, 2, None, None]
    assert value_of([1]).number() is None


def test_a_path_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at character 1"):
        value_of({}).get("a[")


ANSWERS = st.lists(st.sampled_from([True, False, None]), max_size=5)


@given(ANSWERS)
def test_three_valued_and_and_or_are_dual_and_never_claim_what_an_unknown_could_change(
    answers: list[bool | None],
) -> None:
    negated = any_of(None if each is None else not each for each in answers)
    assert all_of(answers) == (None if negated is None else not negated)
    for guess in (True, False):
        settled = [guess if each is None else each for each in answers]
        assert any_of(answers) in {None, any(settled)}
        assert all_of(answers) in {None, all(settled)}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.sampled_from(sorted(UNKNOWN_SENTINELS)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "__d", "c.d"]), inner, max_size=3)
    ),
    max_leaves=12,
)
PATHS = (
    st.lists(st.sampled_from(["a", "b", "[0]", "[*]", '["c.d"]']), max_size=5)
    .map(".".join)
    .map(lambda path: path.replace(".[", "["))
)


def walk(value: Value) -> list[Value]:
    below = [each for _, each in value.items()] + [each for each in value.elements() if each is not value]
    return [value, *(found for each in below if not isinstance(each, Unknown) for found in walk(each))]


@given(st.dictionaries(st.sampled_from(["a", "b"]), JSON), PATHS)
def test_reading_never_raises_and_is_the_same_through_the_proxies(properties: dict[str, Any], path: str) -> None:
    plain, through = value_of(properties), value_of(unknown_checking_proxy(properties))
    assert [(type(each), each.path, each.text(), each.flag(), each.number()) for each in plain.select(path)] == [
        (type(each), each.path, each.text(), each.flag(), each.number()) for each in through.select(path)
    ]
    assert [(type(each), each.path) for each in walk(plain)] == [(type(each), each.path) for each in walk(through)]
