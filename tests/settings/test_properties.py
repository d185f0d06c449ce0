"""What holds for any stack file, not only for those that somebody thought of."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from components.address_plan import plan_addresses
from settings.parse import parse
from settings.problems import SettingsError
from settings.rules.network import subnets_fit
from tests.settings.stacks import FILE, Content, changed, decoded, encoded, problems, settings_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)

Place = tuple[str | int, ...]


def places(value: object, path: Place = ()) -> list[Place]:
    """Return the path of every value inside `value`."""
    if isinstance(value, dict):
        inner = [(name, item) for name, item in cast("dict[str, object]", value).items()]
    elif isinstance(value, list):
        inner = list(enumerate(cast("list[object]", value)))
    else:
        inner = []
    return [found for name, item in inner for found in [(*path, name), *places(item, (*path, name))]]


PLACES = places(decoded())
_FIRST: dict[str, Any] = decoded()["slipway:teams"][0]["namespaces"][0]
_READ_ONLY: dict[str, Any] = {**_FIRST["buckets"], "writeModels": []}
TRAINING = {**_FIRST, "buckets": _READ_ONLY}
"""A namespace that writes nowhere, so that there may be many of its kind."""


def mutated(place: Place, how: str, value: object) -> Content:
    content = decoded()
    holder: Any = content
    for step in place[:-1]:
        holder = holder[step]
    last: Any = place[-1]
    if how == "replace":
        holder[last] = value
    elif how == "remove":
        del holder[last]
    elif how == "rename" and isinstance(last, str):
        holder[f"{last}{value}"] = holder.pop(last)
    elif isinstance(last, int):
        holder.insert(last, holder[last])
    else:
        holder[f"extra{last}"] = value
    return content


@examples(max_examples=300)
@given(place=st.sampled_from(PLACES), how=st.sampled_from(["replace", "remove", "rename", "add"]), value=JSON)
def test_any_single_change_gives_settings_or_problems_and_never_a_traceback(
    place: Place, how: str, value: object
) -> None:
    for line in problems(mutated(place, how, value)):
        key, found, allowed, remedy = line.split(" · ", 3)
        assert key
        assert found.startswith("found ")
        assert allowed.startswith("allowed: ")
        assert remedy.strip()
        assert "\n" not in line
        assert len(line) < 1000


@given(place=st.sampled_from([place for place in PLACES if isinstance(place[-1], str) and len(place) > 1]))
def test_any_key_that_is_taken_away_is_named_as_missing(place: Place) -> None:
    lines = problems(mutated(place, "remove", None))
    key = str(place[0]) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place[1:])
    assert any(line.startswith(f"{key} · found nothing · ") for line in lines)


@given(
    names=st.lists(st.from_regex(r"[a-z][a-z0-9]{0,10}(-[a-z0-9]{1,10})?", fullmatch=True), unique=True, max_size=4),
    sizes=st.lists(st.integers(0, 450), min_size=3, max_size=3),
    eta=st.floats(0.001, 1),
    owner=st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9 _./=+@-]|:(?=[A-Za-z0-9])){2,40}", fullmatch=True),
    days=st.sampled_from([1, 30, 365, 3653]),
)
def test_settings_survive_being_written_and_read_again(
    names: list[str], sizes: list[int], eta: float, owner: str, days: int
) -> None:
    low, wanted, high = sorted(sizes)
    edits: dict[str, object] = {
        "environment.owner": owner,
        "network.flowLogRetentionDays": days,
        "nodePools.2.minSize": low,
        "nodePools.2.desiredSize": wanted,
        "nodePools.2.maxSize": max(high, 10),
        "models.0.training.hyperparameters.eta": eta,
        "models.0.serving": None,
        "models.0.drift": None,
        "models.0.retraining.drift": False,
        "teams.0.namespaces": [{**TRAINING, "name": f"x{name}"} for name in (*names, "")],
    }
    first = parse(encoded(changed(edits)), file=FILE)
    dumped = cast("dict[str, object]", first.model_dump(mode="json", by_alias=True))
    again = parse({f"slipway:{name}": json.dumps(value) for name, value in dumped.items()}, file=FILE)
    assert again == first
    assert again.digest == first.digest
    assert first.environment.owner == owner


@given(
    prefix=st.integers(16, 20),
    block=st.integers(0, 15),
    zones=st.lists(st.sampled_from("abcdef"), min_size=2, max_size=4, unique=True),
    private=st.integers(18, 26),
    public=st.integers(20, 27),
)
def test_an_address_plan_is_accepted_exactly_when_it_fits(
    prefix: int, block: int, zones: list[str], private: int, public: int
) -> None:
    cidr = IPv4Network((int(IPv4Network("10.64.0.0/16").network_address) + block * (1 << (32 - prefix)), prefix))
    names = [f"us-east-1{zone}" for zone in zones]
    settings = settings_of(
        changed(
            {
                "network.cidr": str(cidr),
                "network.zones": names,
                "network.privatePrefix": private,
                "network.publicPrefix": public,
            }
        )
    )
    accepted = not list(subnets_fit(settings))
    assert accepted == fits_by_placing(cidr, sorted([private, public] * len(zones)))
    if accepted:
        plan = plan_addresses(cidr, names, private_prefix=private, public_prefix=public)
        subnets = [*plan.private.values(), *plan.public.values()]
        assert len(subnets) == 2 * len(zones)
        assert all(subnet.subnet_of(cidr) for subnet in subnets)
        assert not any(a.overlaps(b) for index, a in enumerate(subnets) for b in subnets[:index])


def fits_by_placing(cidr: IPv4Network, prefixes: list[int]) -> bool:
    """Return whether blocks of these prefix lengths, widest first, can be cut out of `cidr` one after another."""
    free = [cidr]
    for prefix in prefixes:
        home = next((block for block in free if block.prefixlen <= prefix), None)
        if home is None:
            return False
        free.remove(home)
        cut = next(home.subnets(new_prefix=prefix))
        free += home.address_exclude(cut) if cut != home else []
        free.sort(key=lambda block: -block.prefixlen)
    return True


@given(fewer=st.integers(18, 26), wider=st.integers(20, 27))
def test_the_prefix_that_a_plan_too_large_is_told_to_take_is_accepted(fewer: int, wider: int) -> None:
    plan = {"network.cidr": "10.64.0.0/20", "network.privatePrefix": fewer, "network.publicPrefix": wider}
    for finding in subnets_fit(settings_of(changed(plan))):
        words = finding.remedy.split()
        if words[:2] == ["raise", "privatePrefix"]:
            assert not list(subnets_fit(settings_of(changed({**plan, "network.privatePrefix": int(words[3][:-1])}))))


@given(text=st.text(max_size=60))
def test_any_text_as_a_section_is_a_problem_and_never_a_traceback(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse({**encoded(decoded()), "slipway:network": text}, file=FILE)
    assert any(problem.key.startswith("slipway:network") for problem in caught.value.problems)
