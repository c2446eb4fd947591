"""Deficit round robin over tenants, without a database."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from aurora.dispatch.fairness import UPSIDE_DOWN, Rounds, Shares
from aurora.kernel.models.task import Lane

tenants = st.sampled_from("abcdef")
LANE = Lane.NORMAL


def served(rounds: Rounds, work: dict[str, int], limits: list[int]) -> list[Counter[str]]:
    """Deal places as the ledger does, until the work or the limits are used up."""
    left, all_served = dict(work), []
    for limit in limits:
        got: Counter[str] = Counter()
        waiting = {tenant for tenant, count in left.items() if count}
        while waiting and got.total() < limit:
            dealt = rounds.deal(LANE, waiting, limit=limit - got.total())
            for tenant, count in dealt.items():
                taken = min(count, left[tenant])
                got[tenant] += taken
                left[tenant] -= taken
                if taken < count:
                    waiting.discard(tenant)
                    rounds.emptied(LANE, tenant)
        all_served.append(got)
    return all_served


def test_without_weights_tenants_take_turns_whatever_the_number_of_places():
    rounds = Rounds(Shares())

    got = [served(rounds, {"a": 1000, "b": 1000, "c": 1000}, [limit])[0] for limit in (1, 1, 1, 2, 4, 64, 2)]

    assert sum(got, Counter()) == {"a": 25, "b": 25, "c": 25}


def test_a_weight_is_a_share():
    rounds = Rounds(Shares(weights={"a": 3}))

    dealt = [rounds.deal(LANE, {"a", "b"}, limit=1) for _ in range(8)]

    assert [next(iter(each)) for each in dealt] == ["a", "a", "a", "b", "a", "a", "a", "b"]


def test_who_is_cut_short_goes_on_with_what_is_owed():
    rounds = Rounds(Shares(weights={"a": 5, "b": 5}))

    assert rounds.deal(LANE, {"a", "b"}, limit=3) == {"a": 3}
    assert rounds.deal(LANE, {"a", "b"}, limit=3) == {"a": 2, "b": 1}
    assert rounds.deal(LANE, {"a", "b"}, limit=4) == {"b": 4}


def test_who_had_less_work_than_dealt_saves_nothing_up():
    rounds = Rounds(Shares(weights={"a": 100}))
    rounds.deal(LANE, {"a", "b"}, limit=1)

    rounds.emptied(LANE, "a")

    assert rounds.deal(LANE, {"a", "b"}, limit=2) == {"b": 1, "a": 1}


def test_who_had_no_work_for_a_while_saves_nothing_up():
    rounds = Rounds(Shares(weights={"a": 100}))
    rounds.deal(LANE, {"a", "b"}, limit=1)

    rounds.deal(LANE, {"b"}, limit=5)

    assert rounds.deal(LANE, {"a", "b"}, limit=2) == {"b": 1, "a": 1}


def test_room_is_never_exceeded_and_what_it_leaves_goes_to_others():
    rounds = Rounds(Shares(weights={"capped": 10}))

    assert rounds.deal(LANE, {"capped", "free"}, limit=10, room={"capped": 2}) == {"capped": 2, "free": 8}
    assert rounds.deal(LANE, {"capped"}, limit=10, room={"capped": 0}) == {}
    assert rounds.deal(LANE, set(), limit=10) == {}


def test_lanes_have_rounds_of_their_own():
    rounds = Rounds(Shares())
    rounds.deal(LANE, {"a", "b"}, limit=1)

    assert rounds.deal(Lane.HIGH, {"a", "b"}, limit=1) == {"a": 1}
    assert rounds.deal(LANE, {"a", "b"}, limit=1) == {"b": 1}


def test_lanes_are_served_from_the_top_and_now_and_then_from_the_bottom():
    rounds = Rounds(Shares())

    orders = [tuple(rounds.order([Lane.BULK, Lane.CRITICAL, Lane.NORMAL])) for _ in range(2 * UPSIDE_DOWN)]

    from_the_top = (Lane.CRITICAL, Lane.NORMAL, Lane.BULK)
    assert Counter(orders) == {from_the_top: 2 * UPSIDE_DOWN - 2, from_the_top[::-1]: 2}
    assert orders[UPSIDE_DOWN - 1] == orders[-1] == from_the_top[::-1]


@given(
    work=st.dictionaries(tenants, st.integers(1, 40), min_size=1),
    weights=st.dictionaries(tenants, st.integers(1, 5)),
    limits=st.lists(st.integers(1, 20), min_size=1, max_size=30),
)
def test_places_are_filled_while_there_is_work(work: dict[str, int], weights: dict[str, int], limits: list[int]):
    got = served(Rounds(Shares(weights=weights)), work, limits)

    left = sum(work.values())
    for limit, each in zip(limits, got, strict=True):
        assert each.total() == min(limit, left)
        left -= each.total()


@given(
    weights=st.dictionaries(tenants, st.integers(1, 5), min_size=2),
    limits=st.lists(st.integers(1, 20), min_size=1, max_size=60),
)
def test_nobody_is_further_behind_than_one_round(weights: dict[str, int], limits: list[int]):
    """While all have work, what two tenants got for their weight differs by one turn at most, at any moment."""
    rounds = Rounds(Shares(weights=weights))
    got: Counter[str] = Counter()

    for limit in limits:
        got.update(rounds.deal(LANE, weights, limit=limit))

        turns = [got[tenant] / weight for tenant, weight in weights.items()]
        assert max(turns) - min(turns) <= 1


@given(
    weights=st.dictionaries(tenants, st.integers(1, 5)),
    room=st.dictionaries(tenants, st.integers(0, 6)),
    waiting=st.sets(tenants),
    limit=st.integers(1, 30),
)
def test_a_deal_is_within_limit_room_and_those_who_wait(
    weights: dict[str, int], room: dict[str, int], waiting: set[str], limit: int
):
    dealt = Rounds(Shares(weights=weights)).deal(LANE, waiting, limit=limit, room=room)

    open_ended = waiting - room.keys()
    most = limit if open_ended else min(limit, sum(room[tenant] for tenant in waiting))
    assert sum(dealt.values()) == most
    assert dealt.keys() <= waiting
    assert all(0 < count <= room.get(tenant, count) for tenant, count in dealt.items())
