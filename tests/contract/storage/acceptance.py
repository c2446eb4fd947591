"""What every database must do for acceptance: count everything once, whatever is read again."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from aurora.kernel.ids import AlertId, Uuid7Factory, VerdictId
from aurora.kernel.models import AlertStatus, Decider, Verdict, VerdictLabel
from aurora.storage.repositories.alerts import StoredAlert
from aurora.storage.repositories.base import CHUNK
from aurora.storage.triage import Conclusion, StoredTriage, conclude
from aurora.storage.unit_of_work import Storage
from aurora.testing import ManualClock
from tests.conftest import NOON
from tests.contract.storage.rows import accept, acceptor, alert, source


class AcceptanceContract:
    """Subclass it in one file per database and provide the `storage` fixture."""

    clauses: ClassVar[int] = 13

    async def test_occurrences_within_the_window_are_one_alert(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        moments = [NOON, NOON + timedelta(hours=20), NOON + timedelta(hours=40), NOON - timedelta(hours=1)]

        accepted = await accept(storage, ids, clock, [alert(at=moment) for moment in moments])

        (first, *_) = accepted.records()
        async with storage.reading() as transaction:
            stored = await transaction.alerts.load(first[1])
        assert (accepted.alerts, accepted.duplicates) == (1, 3)
        assert (stored.count, stored.first_seen, stored.last_seen) == (4, moments[3], moments[2])

    async def test_an_occurrence_after_the_window_is_a_new_alert(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        accepted = await accept(storage, ids, clock, [alert(at=NOON), alert(at=NOON + timedelta(hours=24, seconds=1))])

        assert (accepted.alerts, accepted.duplicates) == (2, 0)

    async def test_the_same_attack_on_another_host_is_a_new_alert(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        accepted = await accept(storage, ids, clock, [alert(1, at=NOON), alert(2, at=NOON)])

        assert (accepted.alerts, accepted.duplicates) == (2, 0)

    async def test_every_alert_is_matched_once_over_all_pages_and_the_newest_first(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        documents = [alert(number, at=NOON, severity="low" if number % 2 else "high") for number in range(2 * CHUNK)]
        await accept(storage, ids, clock, documents)

        async with storage.reading() as transaction:
            pages = [page async for page in transaction.alerts.matching()]
            low = [each async for page in transaction.alerts.matching(severity="low") for each in page]
            listed = await transaction.alerts.listed(limit=3 * CHUNK)

        assert [len(page) for page in pages] == [CHUNK, CHUNK]
        assert [each.record_id for page in pages for each in page] == [each.record_id for each in listed]
        assert len(low) == CHUNK

    async def test_the_same_content_read_again_is_no_new_occurrence(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        documents = [alert(number % 3, at=NOON) for number in range(7)]
        once = await accept(storage, ids, clock, documents)

        twice = await accept(storage, ids, clock, documents, name="a copy under another name")

        assert list(map(_ids, twice.records())) == list(map(_ids, once.records()))
        assert (twice.known, twice.alerts, twice.duplicates) == (7, 3, 4)
        async with storage.reading() as transaction:
            counts = [(await transaction.alerts.load(alert_id)).count for _, alert_id, _ in list(once.records())[:3]]
        assert counts == [3, 2, 2]

    async def test_a_file_that_grew_brings_only_what_is_new(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        documents = [alert(number, at=NOON) for number in range(5)]
        await accept(storage, ids, clock, documents[:3])

        grown = await accept(storage, ids, clock, documents)

        assert (grown.known, grown.alerts) == (3, 5)

    async def test_a_file_that_grew_after_a_kill_gets_its_new_alerts_related(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        """The first command read all and was killed in triage: its batch is accepted, and not done."""
        first = await accept(storage, ids, clock, [alert(1, at=NOON)])
        clock.advance(timedelta(minutes=1))

        grown = await accept(storage, ids, clock, [alert(1, at=NOON), alert(1, at=NOON, rule="r-2")])

        old, new = (alert_id for _, alert_id, _ in grown.records())
        ports = StoredTriage(storage, clock=clock)
        assert grown.batch.id != first.batch.id
        assert [each.attributes["alerts"] for each in await ports.related(new)] == ["1"]
        assert list(await ports.related(old)) == []

    async def test_two_copies_of_a_file_in_one_command_count_once(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        documents = [alert(number, at=NOON) for number in range(3)]

        accepted = await acceptor(storage, ids, clock).accept(
            [source(documents, name="a"), source(documents, name="b")]
        )

        assert accepted.check() == {"read": 6, "triaged": 6, "duplicate": 0, "context": 0, "rejected": 0}
        assert len({alert_id for _, alert_id, _ in accepted.records()}) == 3

    async def test_a_closed_alert_reopens_as_a_new_one(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        first = next((await accept(storage, ids, clock, [alert(at=NOON)])).records())[1]
        async with storage.writing() as transaction:
            stored = await transaction.alerts.load(first)
            verdict = _verdict(ids, clock, stored, Decider.ANALYST, VerdictLabel.SUSPICIOUS)
            await conclude(transaction, [Conclusion(stored, verdict, (), AlertStatus.RESOLVED)], now=clock.now())

        again = await accept(storage, ids, clock, [alert(at=NOON + timedelta(minutes=5))])

        assert (again.alerts, again.duplicates) == (1, 0)
        assert next(again.records())[1] != first

    async def test_what_cannot_be_used_is_kept_once_with_its_reason(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        documents = [alert(at=NOON), {"no": "format"}, alert(severity="purple")]
        for _ in range(2):
            accepted = await accept(storage, ids, clock, documents)

        async with storage.reading() as transaction:
            kept = await transaction.batches.rejected()
        assert accepted.rejects == 2
        assert sorted((row["line"], row["reason"]) for row in kept) == [(2, "unknown_format"), (3, kept[0]["reason"])]
        assert "severity" in kept[0]["message"]
        assert kept[1]["raw"] == b'{"no":"format"}'

    async def test_text_with_nul_characters_is_stored_visibly(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        accepted = await accept(storage, ids, clock, [alert(at=NOON, title="before\0after", host="ws\0")])

        async with storage.reading() as transaction:
            stored = await transaction.alerts.load(next(accepted.records())[1])
        assert stored.alert.title == "before\N{SYMBOL FOR NULL}after"

    async def test_alerts_that_share_a_rare_entity_are_one_group(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        """Three on one host in a row, one on it two days later, one elsewhere, and thirty on a hub."""
        chain = [alert(1, at=NOON + timedelta(hours=20 * step), rule=f"r-{step}") for step in range(3)]
        late = alert(1, at=NOON + timedelta(hours=89), rule="r-late")
        hub = [alert(7, at=NOON, rule=f"hub-{number}") for number in range(30)]

        accepted = await accept(storage, ids, clock, [*chain, late, alert(2, at=NOON), *hub])

        groups = await _groups(storage, accepted.records())
        assert groups[0] == groups[1] == groups[2]
        assert len({groups[0], *groups[3:]}) == 1 + 2 + 30

    async def test_a_later_batch_joins_a_group_and_changes_none(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        first = await accept(storage, ids, clock, [alert(1, at=NOON), alert(2, at=NOON)])
        before = await _groups(storage, first.records())
        clock.advance(timedelta(hours=1))

        second = await accept(storage, ids, clock, [alert(1, at=NOON + timedelta(hours=1), rule="r-2")], name="later")

        ports = StoredTriage(storage, clock=clock)
        assert await _groups(storage, first.records()) == before
        assert await _groups(storage, second.records()) == [before[0]]
        assert list(await ports.related(next(first.records())[1])) == [], "later input must not change earlier evidence"
        assert [each.attributes["alerts"] for each in await ports.related(next(second.records())[1])] == ["1"]


class CaseContract:
    """What a case says of its alerts."""

    clauses: ClassVar[int] = 1

    async def test_a_case_is_named_after_the_alert_that_weighs_most(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        documents = [
            alert(1, at=NOON, rule="r-1", title="Noise that came first", severity="low"),
            alert(1, at=NOON, rule="r-2", title="Beacon", severity="high"),
        ]
        accepted = await accept(storage, ids, clock, documents)
        alerts = [alert_id for _, alert_id, _ in accepted.records()]
        for alert_id, score in zip(alerts, (6.0, 20.0), strict=True):
            await _conclude(storage, ids, clock, alert_id, Decider.RULES, VerdictLabel.SUSPICIOUS, score=score)

        async with storage.writing() as transaction:
            (case_id,) = await transaction.cases.of_alerts(alerts)
            await transaction.cases.refresh([case_id], now=clock.now())
            case = (await transaction.cases.by_id([case_id]))[case_id]

        assert (case["title"], case["severity"]) == ("Beacon", "high")


class RecallContract:
    """What past verdicts a run may see."""

    clauses: ClassVar[int] = 2

    async def test_verdicts_of_the_own_batch_are_not_recalled(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        """Two alerts of one fingerprint, two days apart: the first one's verdict must not sway the second."""
        documents = [alert(at=NOON), alert(at=NOON + timedelta(days=2))]
        accepted = await accept(storage, ids, clock, documents)
        one, two = (alert_id for _, alert_id, _ in accepted.records())
        clock.advance(timedelta(minutes=1))
        ports = StoredTriage(storage, clock=clock)
        await _conclude(storage, ids, clock, one, Decider.RULES, VerdictLabel.MALICIOUS)

        own = await ports.past_verdicts(two)
        clock.advance(timedelta(minutes=1))
        later = await accept(storage, ids, clock, [alert(at=NOON + timedelta(days=9))], name="next week")
        next_week = await ports.past_verdicts(next(later.records())[1])

        assert list(own) == []
        assert [each.attributes["label"] for each in next_week] == ["malicious"]

    async def test_an_analysts_correction_is_recalled_at_once_and_first(
        self, storage: Storage, clock: ManualClock, ids: Uuid7Factory
    ) -> None:
        documents = [alert(at=NOON), alert(at=NOON + timedelta(days=2))]
        accepted = await accept(storage, ids, clock, documents)
        one, two = (alert_id for _, alert_id, _ in accepted.records())
        await _conclude(storage, ids, clock, one, Decider.ANALYST, VerdictLabel.BENIGN)

        found = await StoredTriage(storage, clock=clock).past_verdicts(two)

        assert [(each.attributes["decided_by"], each.provenance.value) for each in found] == [("analyst", "human")]


async def _conclude(
    storage: Storage,
    ids: Uuid7Factory,
    clock: ManualClock,
    alert_id: AlertId,
    decider: Decider,
    label: VerdictLabel,
    *,
    score: float = 0.0,
) -> None:
    async with storage.writing() as transaction:
        stored = await transaction.alerts.load(alert_id)
        verdict = _verdict(ids, clock, stored, decider, label).model_copy(update={"score": score})
        await conclude(transaction, [Conclusion(stored, verdict, ())], now=clock.now())


def _verdict(
    ids: Uuid7Factory, clock: ManualClock, stored: StoredAlert, decider: Decider, label: VerdictLabel
) -> Verdict:
    return Verdict(
        id=VerdictId(ids()),
        alert_id=stored.alert.id,
        label=label,
        confidence=0.9,
        decided_by=decider,
        decided_name="ines",
        reason="seen before",
        created_at=clock.now(),
    )


def _ids(record: tuple[object, object, str]) -> tuple[object, object]:
    return record[:2]


async def _groups(storage: Storage, records: object) -> list[object]:
    async with storage.reading() as transaction:
        return [(await transaction.alerts.load(alert_id)).group_id for _, alert_id, _ in records]
