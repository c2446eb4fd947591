"""What claims of several episodes amount to."""

from __future__ import annotations

from uuid import UUID

from memory.items import Trust
from memory.recurrence import MAX_EVIDENCE, Claim, weigh

LOW, TOOL, OURS, PERSON = Trust


def claim(n: int, says: str = "benign", trust: Trust = OURS, episode: str | None = None) -> Claim:
    return Claim(says, episode or f"case:{n}", UUID(int=n), trust)


def test_what_three_episodes_say_is_borne_out_with_the_least_of_their_trusts() -> None:
    found = weigh("s", "p", [claim(3), claim(2, trust=TOOL), claim(1)], least=3)

    assert (found.object, found.trust) == ("benign", TOOL)
    assert found.evidence == (UUID(int=3), UUID(int=2), UUID(int=1))


def test_one_episode_counts_once_however_often_it_says_so() -> None:
    found = weigh("s", "p", [claim(n, episode="case:1") for n in range(5)] + [claim(9)], least=3)

    assert (found.object, found.votes) == (None, (("benign", 2),))


def test_two_camps_of_one_size_disagree() -> None:
    claims = [claim(n) for n in range(3)] + [claim(n, "malicious") for n in range(3, 6)]

    found = weigh("s", "p", claims, least=3)

    assert (found.object, dict(found.votes)) == (None, {"benign": 3, "malicious": 3})


def test_no_number_of_outside_claims_outvotes_enough_that_are_trusted_more() -> None:
    flood = [claim(n, "benign", LOW) for n in range(100, 200)]
    ours = [claim(n, "malicious", OURS) for n in range(3)]

    found = weigh("s", "p", flood + ours, least=3)

    assert (found.object, found.trust) == ("malicious", OURS)
    assert set(found.evidence) == {UUID(int=n) for n in range(3)}


def test_what_outsiders_repeat_is_no_less_trusted_than_without_them() -> None:
    found = weigh("s", "p", [claim(9, trust=LOW)] + [claim(n) for n in range(3)], least=3)

    assert (found.trust, len(found.evidence)) == (OURS, 3)


def test_the_latest_episodes_are_named_and_no_more_than_a_fact_can_carry() -> None:
    found = weigh("s", "p", [claim(n) for n in range(100, 0, -1)], least=3)

    assert len(found.evidence) == MAX_EVIDENCE
    assert found.evidence[0] == UUID(int=100)
    assert found.trust < PERSON
