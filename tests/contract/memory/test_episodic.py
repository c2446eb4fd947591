"""The episodic tier, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from aurora.kernel.errors import NotFound
from aurora.kernel.evidence import Provenance
from aurora.kernel.ids import Uuid7Factory
from aurora.kernel.models import Decider, Observable, ObservableType, VerdictLabel
from aurora.kernel.untrusted import UntrustedText
from aurora.testing import ManualClock
from memory.items import Fate, Source, State, Tier, Trust
from memory.ports import EpisodicTier, Transactions
from memory.tiers.episodic import EpisodicMemoryStore
from tests.contract.memory.made import MAIL, SENSOR, SPRAY, WEBSHELL, closed, ip, open_memory

SIGNS = ("amber", "blue", "copper", "dusk", "ember", "flint", "grove", "hazel", "iris", "jade", "kelp", "lime")
BENIGN, MALICIOUS = VerdictLabel.BENIGN, VerdictLabel.MALICIOUS


@pytest.fixture
def episodes(transactions: Transactions, clock: ManualClock, ids: Uuid7Factory) -> EpisodicMemoryStore:
    return EpisodicMemoryStore(open_memory(transactions, clock=clock, ids=ids))


async def test_a_case_told_twice_is_one_row_even_by_ten_writers_at_once(episodes: EpisodicMemoryStore) -> None:
    kept = await asyncio.gather(*(episodes.store_case(closed()) for _ in range(10)))

    assert len({each.id for each in kept}) == 1
    assert [each.fate for each in kept].count(Fate.STORED) == 1
    assert len(await episodes.memory.list(tier=Tier.EPISODIC)) == 1


async def test_of_two_who_close_a_case_differently_at_once_neither_is_lost(episodes: EpisodicMemoryStore) -> None:
    person = closed(outcome=MALICIOUS, decided_by=Decider.ANALYST, decided_name="j.doe")

    await asyncio.gather(*(episodes.store_case(case) for case in (closed(), person, closed(), person)))

    decision = await episodes.outcome_of("c1")
    assert decision is not None
    assert (decision.outcome, decision.decided_name) == (MALICIOUS, "j.doe")


async def test_a_correction_is_a_new_row_and_the_old_one_stays(episodes: EpisodicMemoryStore) -> None:
    first = await episodes.store_case(closed())

    decision = await episodes.correct("c1", MALICIOUS, actor="j.doe", reason="the account was used the next day")

    old, new = await episodes.memory.get(first.id), await episodes.memory.get(decision.id)
    assert old is not None
    assert new is not None
    assert (old.value["outcome"], old.retired_at) == ("benign", None)
    assert (new.value["corrects"], new.trust, new.sources) == (
        str(first.id),
        Trust.OPERATOR,
        (Source(uri="user:j.doe", provenance=Provenance.HUMAN),),
    )
    assert (decision.outcome, decision.is_verified) == (MALICIOUS, True)


async def test_a_similar_case_is_shown_with_the_outcome_that_stands_now_and_who_said_so(
    episodes: EpisodicMemoryStore,
) -> None:
    await episodes.store_case(closed(iocs=ip("203.0.113.7")))
    await episodes.correct("c1", MALICIOUS, actor="j.doe", reason="it was the red team's rival")

    (similar,) = await episodes.recall_cases(SPRAY)

    assert (similar.case.outcome, similar.outcome, similar.corrected_by) == (BENIGN, MALICIOUS, "j.doe")
    assert "closed as benign, corrected to malicious by «j.doe»" in similar.why


async def test_the_latest_of_several_corrections_stands_and_repeating_it_writes_nothing(
    episodes: EpisodicMemoryStore, clock: ManualClock
) -> None:
    await episodes.store_case(closed())

    said = []
    for outcome in (MALICIOUS, BENIGN, MALICIOUS, MALICIOUS):
        clock.advance(timedelta(minutes=1))
        said.append(await episodes.correct("c1", outcome, actor="j.doe", reason="seen again"))

    assert [each.outcome for each in said] == [MALICIOUS, BENIGN, MALICIOUS, MALICIOUS]
    assert len({each.id for each in said}) == 3
    assert said[-1] == said[-2] == await episodes.outcome_of("c1")


async def test_a_correction_raises_no_trust_of_what_outsiders_wrote(episodes: EpisodicMemoryStore) -> None:
    await episodes.store_case(closed(sources=(MAIL,)))

    await episodes.correct("c1", MALICIOUS, actor="j.doe", reason="phishing")

    rows = await episodes.memory.history("case:c1")
    assert {(row.kind, row.trust) for row in rows} == {
        ("case", Trust.EXTERNAL_CONTENT),
        ("outcome", Trust.OPERATOR),
    }
    assert all(SPRAY not in row.text for row in rows if row.kind == "outcome")


async def test_rules_that_close_a_case_again_do_not_outrank_a_person_and_a_person_does_them(
    episodes: EpisodicMemoryStore, clock: ManualClock
) -> None:
    await episodes.store_case(closed())
    person = closed(outcome=MALICIOUS, decided_by=Decider.ANALYST, decided_name="j.doe")

    clock.advance(timedelta(minutes=1))
    by_person = await episodes.store_case(person)
    clock.advance(timedelta(minutes=1))
    by_rules = await episodes.store_case(closed(outcome=VerdictLabel.SUSPICIOUS))

    assert (by_person.fate, by_rules.fate) == (Fate.STORED, Fate.OUTRANKED)
    decision = await episodes.outcome_of("c1")
    assert decision is not None
    assert (decision.outcome, decision.decided_name) == (MALICIOUS, "j.doe")


async def test_a_correction_that_was_rolled_back_does_not_stand(episodes: EpisodicMemoryStore) -> None:
    await episodes.store_case(closed())
    await episodes.correct("c1", MALICIOUS, actor="mallory", reason="because")

    await episodes.memory.rollback(source="user:mallory", actor="user:ciso", reason="stolen account")

    decision = await episodes.outcome_of("c1")
    assert decision is not None
    assert decision.outcome is BENIGN
    left = [row.kind for row in await episodes.memory.history("case:c1") if row.state is State.ACTIVE]
    assert left == ["case"], "the case filed under the outcome that was taken back is taken back with it"


async def test_a_case_that_is_not_remembered_cannot_be_corrected(episodes: EpisodicMemoryStore) -> None:
    with pytest.raises(NotFound, match="no case 'c9'"):
        await episodes.correct("c9", BENIGN, actor="j.doe", reason="x")


async def test_a_flood_of_false_alarms_does_not_hide_the_case_that_was_none(episodes: EpisodicMemoryStore) -> None:
    start = "Password spraying against the VPN concentrator"
    await episodes.store_case(closed("real", summary=UntrustedText(f"{start} led to a login at the file server")))
    await episodes.correct("real", MALICIOUS, actor="j.doe", reason="one password was right")
    for n, sign in enumerate(SIGNS):
        flood = f"{SPRAY}. The {sign} scanner of plant {n} did it, ticket {sign}{n}, line {sign}-{sign}."
        await episodes.store_case(closed(f"false-{n}", summary=UntrustedText(flood)))

    found = await episodes.recall_cases(SPRAY, limit=2)

    assert len(found) == 2
    assert "real" in {each.case.case_id for each in found}


async def test_what_shares_observables_and_techniques_comes_before_what_only_reads_alike(
    episodes: EpisodicMemoryStore,
) -> None:
    address = Observable(type=ObservableType.IP, value="203.0.113.7")
    await episodes.store_case(closed("other", iocs=ip("198.51.100.9"), techniques=("T1190",)))
    await episodes.store_case(closed("same", iocs=ip("203.0.113.7"), techniques=("T1110.003",)))

    found = await episodes.recall_cases(SPRAY, observables=[address], techniques=["T1110.003"])

    assert [each.case.case_id for each in found] == ["same", "other"]
    assert "shares «203.0.113.7»" in found[0].why
    assert "shows «T1110.003» too" in found[0].why


async def test_what_a_person_decided_counts_more_than_what_rules_did(episodes: EpisodicMemoryStore) -> None:
    await episodes.store_case(closed("a-rules", summary=UntrustedText(SPRAY + " on Monday")))
    by_person = closed("b-person", summary=UntrustedText(SPRAY + " on Friday"))
    await episodes.store_case(replace(by_person, decided_by=Decider.ANALYST, decided_name="j.doe"))

    found = await episodes.recall_cases(SPRAY)

    assert [each.case.case_id for each in found] == ["b-person", "a-rules"]


async def test_nothing_is_recalled_for_what_resembles_nothing(episodes: EpisodicMemoryStore) -> None:
    await episodes.store_case(closed())

    assert await episodes.recall_cases("quarterly invoice of the canteen") == []


async def test_the_case_and_the_alert_that_are_asked_about_can_be_left_out(episodes: EpisodicMemoryStore) -> None:
    for n, source in enumerate((SENSOR, SENSOR, MAIL)):
        await episodes.store_case(closed(f"c{n}", sources=(source,), summary=UntrustedText(f"{SPRAY}, day {n}")))

    without_case = await episodes.recall_cases(SPRAY, exclude_cases=["c0"])
    without_alert = await episodes.recall_cases(SPRAY, exclude_sources=[SENSOR.uri])

    assert {each.case.case_id for each in without_case} == {"c1", "c2"}
    assert [each.case.case_id for each in without_alert] == ["c2"]


async def test_a_case_is_evidence_with_its_outcome_and_no_better_than_its_sources(
    episodes: EpisodicMemoryStore,
) -> None:
    tier: EpisodicTier = episodes
    await episodes.store_case(closed(sources=(MAIL,), summary=UntrustedText(WEBSHELL)))
    await episodes.store_case(closed("c2", sources=(SENSOR,)))
    await episodes.correct("c1", MALICIOUS, actor="j.doe", reason="confirmed on the host")

    (finding,) = await tier.recall("web shell on the mail gateway", limit=3)

    (observed,) = await tier.recall(SPRAY, limit=1)
    assert finding.provenance is Provenance.ATTACKER_WRITABLE
    assert observed.provenance is Provenance.AGENT_DERIVED
    told = {name: finding.attributes[name] for name in ("case", "outcome", "closed_as", "corrected_by", "verified")}
    assert told == {
        "case": "c1",
        "outcome": "malicious",
        "closed_as": "benign",
        "corrected_by": "j.doe",
        "verified": "yes",
    }


async def test_another_tenant_has_no_part_in_it(
    episodes: EpisodicMemoryStore, transactions: Transactions, clock: ManualClock, ids: Uuid7Factory
) -> None:
    theirs = EpisodicMemoryStore(open_memory(transactions, clock=clock, ids=ids, tenant="t2"))
    await episodes.store_case(closed())

    assert await theirs.recall_cases(SPRAY) == []
    assert await theirs.outcome_of("c1") is None
    assert (await theirs.store_case(closed(outcome=MALICIOUS))).fate is Fate.STORED


async def test_runs_and_decisions_are_kept_once(episodes: EpisodicMemoryStore) -> None:
    for _ in range(2):
        await episodes.store_run("r1", "Triage asked two enrichers and closed the alert", outcome="succeeded")
        await episodes.store_decision(
            "alert:1", "Closed: known scanner", decided_by=Decider.ANALYST, decided_name="j.doe"
        )

    items = await episodes.memory.list(tier=Tier.EPISODIC)
    assert {(item.kind, item.trust) for item in items} == {
        ("run", Trust.AGENT_DERIVED),
        ("decision", Trust.OPERATOR),
    }
    assert len(items) == 2
