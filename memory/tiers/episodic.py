"""Tier 2: cases that were closed, runs and decisions. Append-only; a correction is a new row beside the old."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import TYPE_CHECKING, Any

from aurora.kernel.errors import NotFound
from aurora.kernel.evidence import Finding, Provenance
from aurora.kernel.models import Decider, Observable, VerdictLabel
from memory.cases import (
    ADVERSE,
    COLLECTION,
    IMPORTANCE,
    ClosedCase,
    Decision,
    SimilarCase,
    case_text,
    case_uri,
    case_value,
    id_of,
    is_row,
    read_case,
    sources_of,
    trust_of,
    user_uri,
    witnessed,
)
from memory.items import Fate, Item, NewItem, Remembered, Source, State, Tier, Trust
from memory.similar import Wanted, as_evidence, current, diverse, each_once, weighed

if TYPE_CHECKING:
    from memory.memory import Memory
    from memory.ports import Fence
    from memory.recall import Hit

MAX_LINKS = 100
"""Filings of a case that a further one takes the place of."""

_PAGE = 100
"""Cases that are looked at, at most, of those that resemble one question."""

_ADVERSE_PAGE = 10
"""Adverse cases that are looked at where the first page has none: some of them may have been corrected since."""


@dataclass(frozen=True)
class EpisodicMemoryStore:
    """The episodic tier of one tenant's memory. Implements `memory.ports.EpisodicTier`."""

    memory: Memory

    COLLECTION = COLLECTION

    async def store_case(self, case: ClosedCase, *, fence: Fence | None = None) -> Remembered:
        """Keep a case that was closed.

        Told again, it is the same row. Told with another outcome, that is a further decision beside the first:
        it stands unless a person has decided the case and no person decides now.
        """
        rows = await self._rows(case.case_id)
        if rows:
            return await self._decided_again(case, rows, fence)
        new = NewItem(
            id=id_of(self.memory.tenant, "case", case.case_id),
            tier=Tier.EPISODIC,
            kind="case",
            text=case_text(case),
            sources=sources_of(case),
            trust=trust_of(case.decided_by),
            value=case_value(case),
            subject=case.uri,
            namespace=(COLLECTION, case.outcome.value),
            importance=IMPORTANCE[case.outcome],
            valid_from=case.closed_at,
        )
        (kept,) = await self.memory.remember([new], actor=_actor(case.decided_by, case.decided_name), fence=fence)
        if kept.fate is Fate.DUPLICATE and (rows := await self._rows(case.case_id)):
            return await self._decided_again(case, rows, fence)  # somebody else was first, and may have said otherwise
        return kept

    async def store_run(
        self,
        run_id: str,
        summary: str,
        *,
        outcome: str,
        sources: Sequence[Source] = (),
        value: Mapping[str, Any] | None = None,
        fence: Fence | None = None,
    ) -> Remembered:
        """Keep what a run did and how it ended; told again, it is the same row."""
        uri = f"run:{run_id}"
        new = NewItem(
            id=id_of(self.memory.tenant, "run", run_id),
            tier=Tier.EPISODIC,
            kind="run",
            text=summary,
            sources=(*sources, Source(uri=uri, provenance=Provenance.AGENT_DERIVED)),
            trust=Trust.AGENT_DERIVED,
            value={**(value or {}), "run_id": run_id, "outcome": outcome},
            subject=uri,
            namespace=("runs",),
            importance=0.3,
        )
        (kept,) = await self.memory.remember([new], actor="aurora", fence=fence)
        return kept

    async def store_decision(
        self,
        about: str,
        text: str,
        *,
        decided_by: Decider,
        decided_name: str,
        sources: Sequence[Source] = (),
        value: Mapping[str, Any] | None = None,
        fence: Fence | None = None,
    ) -> Remembered:
        """Keep one decision about a thing, such as `alert:<id>`; the same words about it are the same row."""
        who = Source(
            uri=user_uri(decided_name) if decided_by is Decider.ANALYST else f"decider:{decided_name}",
            provenance=Provenance.HUMAN if decided_by is Decider.ANALYST else Provenance.AGENT_DERIVED,
        )
        new = NewItem(
            id=id_of(self.memory.tenant, "decision", about, decided_by.value, decided_name, str.__str__(text)),
            tier=Tier.EPISODIC,
            kind="decision",
            text=text,
            sources=(*sources, who),
            trust=trust_of(decided_by),
            value={**(value or {}), "decided_by": decided_by.value, "decided_name": decided_name},
            subject=about,
            namespace=("decisions",),
        )
        (kept,) = await self.memory.remember([new], actor=_actor(decided_by, decided_name), fence=fence)
        return kept

    async def correct(
        self, case_id: str, outcome: VerdictLabel, *, actor: str, reason: str, fence: Fence | None = None
    ) -> Decision:
        """Let a person say what a case really was. What was said before stays, and says so no longer.

        Args:
            case_id: The case.
            outcome: What it really was.
            actor: The authenticated person's name. Never taken from data, nor from a model.
            reason: Why, in their words; these alone are trusted as a person's.
            fence: See `Memory.remember`.

        Returns:
            The decision that stands now. Corrected to what stands already by a person, nothing is written.

        Raises:
            NotFound: there is no such case.
        """
        rows = await self._rows(case_id)
        if not rows:
            raise NotFound(f"no case {case_id!r} is remembered; `store_case` comes first", case_id=case_id)
        standing = current(rows)
        if standing.is_verified and standing.outcome is outcome:
            return standing
        new = self._decision(rows, outcome, Decider.ANALYST, actor, reason)
        await self.memory.remember(new, actor=_actor(Decider.ANALYST, actor), fence=fence)
        return current(await self._rows(case_id))

    async def outcome_of(self, case_id: str) -> Decision | None:
        """Return the decision that stands about a case; `None`: no such case is remembered."""
        rows = await self._rows(case_id)
        return current(rows) if rows else None

    async def recall_cases(
        self,
        text: str,
        *,
        observables: Sequence[Observable] = (),
        techniques: Sequence[str] = (),
        limit: int = 5,
        floor: float | None = None,
        exclude_cases: Sequence[str] = (),
        exclude_sources: Sequence[str] = (),
    ) -> list[SimilarCase]:
        """Return past cases that resemble what is asked about, each with the outcome that stands now, best first.

        However many false alarms resemble it more: where any case that was malicious or suspicious resembles it
        enough to be recalled, one is among the answers.

        Args:
            text: What happened.
            observables: Values that are in it; sharing them counts.
            techniques: ATT&CK ids that it shows; sharing them counts.
            limit: At most so many.
            floor: Least score of what is recalled; `None`: that of the memory.
            exclude_cases: Leave these out, such as the case that is being asked about.
            exclude_sources: Leave out what came from these, such as the alert that is being asked about.

        Raises:
            ValueError: `limit` is below 1.
        """
        if limit < 1:
            raise ValueError(f"limit={limit!r} must be >= 1")
        options = {"exclude_sources": tuple(exclude_sources), **({} if floor is None else {"floor": floor})}
        wanted = Wanted(frozenset(each.value for each in observables), frozenset(techniques), frozenset(exclude_cases))
        # Apart: among many values that no case has, a text that is nearly the same would count for little.
        questions = [str.__str__(text), " ".join([*techniques, *(each.value for each in observables)])]
        asked = [question for question in questions if question.strip()]
        pages = [await self._hits(question, (COLLECTION,), min(limit * 4, _PAGE), options) for question in asked]
        found = await self._similar(chain.from_iterable(pages), wanted)
        if not any(case.outcome in ADVERSE for case in found):
            # The pages may be full of false alarms; ask for the others by themselves.
            pages = [
                await self._hits(question, (COLLECTION, outcome.value), _ADVERSE_PAGE, options)
                for question, outcome in product(asked, sorted(ADVERSE))
            ]
            others = await self._similar(chain.from_iterable(pages), wanted)
            found += [case for case in others if case.outcome in ADVERSE]
        return diverse(each_once(found), limit)

    async def recall(self, query: str, *, limit: int) -> Sequence[Finding]:
        """Return at most `limit` past cases that resemble `query` as evidence, the best first."""
        from memory.frame import finding  # noqa: PLC0415 - the frame is needed by those who prompt alone

        return [
            as_evidence(case, finding(case.item, now=self.memory.clock.now()))
            for case in await self.recall_cases(query, limit=limit)
        ]

    async def _hits(
        self, query: str, namespace: tuple[str, ...], limit: int, options: Mapping[str, Any]
    ) -> Sequence[Hit]:
        from memory.recall import Request  # noqa: PLC0415 - it needs numpy

        request = Request(
            query=query, tiers=(Tier.EPISODIC,), kinds=("case",), namespace=namespace, limit=limit, **options
        )
        return (await self.memory.recall(request)).items

    async def _similar(self, hits: Iterable[Hit], wanted: Wanted) -> list[SimilarCase]:
        cases = [(hit, read_case(hit.item)) for hit in hits if is_row(hit.item)]
        cases = [(hit, case) for hit, case in cases if case.case_id not in wanted.others_than]
        rows = await self._rows_of([case.case_id for _, case in cases])
        return [weighed(hit, case, current(rows.get(case.case_id) or [hit.item]), wanted) for hit, case in cases]

    async def _rows(self, case_id: str) -> list[Item]:
        return (await self._rows_of([case_id])).get(case_id, [])

    async def _rows_of(self, case_ids: Sequence[str]) -> Mapping[str, list[Item]]:
        """Return what is held about cases, newest first; nothing that was taken back or erased."""
        from sqlalchemy import select  # noqa: PLC0415 - heavy; `import memory` stays light

        from memory.models import ItemModel  # noqa: PLC0415 - as above
        from memory.reading import Items  # noqa: PLC0415 - as above

        subjects = {case_uri(case_id): case_id for case_id in case_ids}
        if not subjects:
            return {}
        held = select(ItemModel.id).where(
            ItemModel.tenant == self.memory.tenant,
            ItemModel.subject.in_(list(subjects)),
            ItemModel.tier == Tier.EPISODIC.value,
            ItemModel.kind.in_(("case", "outcome")),
            ItemModel.state.not_in((State.ROLLED_BACK.value, State.ERASED.value)),
        )
        async with self.memory.transactions.reading() as connection:
            ids = (await connection.execute(held)).scalars().all()
            found = await Items(connection, tenant=self.memory.tenant).get(ids)
        rows: dict[str, list[Item]] = {}
        own = filter(is_row, found.values())
        for item in sorted(own, key=lambda item: item.recorded_at, reverse=True):
            rows.setdefault(subjects[item.subject or ""], []).append(item)
        return rows

    async def _decided_again(self, case: ClosedCase, rows: Sequence[Item], fence: Fence | None) -> Remembered:
        standing = current(rows)
        row = next(row for row in rows if row.id == standing.id)
        is_person = case.decided_by is Decider.ANALYST
        if standing.outcome is case.outcome and standing.is_verified >= is_person:
            return Remembered(id=row.id, fate=Fate.DUPLICATE, trust=row.trust)
        if standing.is_verified and not is_person:
            said = f"{standing.decided_name} decided {standing.outcome.value}, and a person outranks {case.decided_by}"
            return Remembered(id=row.id, fate=Fate.OUTRANKED, trust=row.trust, reasons=(said,))
        new = self._decision(rows, case.outcome, case.decided_by, case.decided_name, str.__str__(case.reason))
        kept = await self.memory.remember(new, actor=_actor(case.decided_by, case.decided_name), fence=fence)
        return kept[0]

    def _decision(
        self, rows: Sequence[Item], outcome: VerdictLabel, decided_by: Decider, name: str, reason: str
    ) -> list[NewItem]:
        """Return the rows of a further decision: what was decided, and the case filed under its new outcome.

        They are two, so that the person's words are trusted as theirs, and the case's no more than before.
        """
        before = current(rows)
        filed = [row for row in rows if row.kind == "case"][:MAX_LINKS]
        closed = next((row for row in filed if "filed_by" not in row.value), filed[-1])
        case = read_case(closed)
        said_id = id_of(self.memory.tenant, "outcome", case.case_id, str(before.id), outcome.value, name)
        said = {"outcome": outcome.value, "decided_by": decided_by.value, "decided_name": name, "reason": reason}
        is_person = decided_by is Decider.ANALYST
        who = Source(
            uri=user_uri(name) if is_person else case.uri,
            provenance=Provenance.HUMAN if is_person else Provenance.AGENT_DERIVED,
        )
        importance = min(1.0, IMPORTANCE[outcome] + 0.1)
        correction = NewItem(
            id=said_id,
            tier=Tier.EPISODIC,
            kind="outcome",
            text=f"{case.uri} was {outcome.value}, not {before.outcome.value}. {reason}".strip(),
            sources=(who,),
            trust=trust_of(decided_by),
            value={"case_id": case.case_id, "corrects": str(before.id), "instead_of": before.outcome.value, **said},
            subject=case.uri,
            namespace=("outcomes", outcome.value),
            importance=importance,
            links=(("corrects", before.id),),
        )
        # Taken back with the case as it was closed, or with this decision; not with decisions between them.
        made_of = [Source(uri=f"memory:{each}", provenance=Provenance.AGENT_DERIVED) for each in (closed.id, said_id)]
        refiled = NewItem(
            id=id_of(self.memory.tenant, "filed", str(said_id)),
            tier=Tier.EPISODIC,
            kind="case",
            text=case_text(case),
            sources=(*(source for source in closed.sources if not source.uri.startswith("memory:")), *made_of),
            trust=closed.trust,
            value={**case_value(case), "facts": witnessed(case, outcome), "filed_by": str(said_id)},
            subject=case.uri,
            namespace=(COLLECTION, outcome.value),
            importance=importance,
            valid_from=case.closed_at,
            links=tuple(("corrects", row.id) for row in filed),
        )
        return [correction, refiled]


def _actor(decided_by: Decider, name: str) -> str:
    return f"{'user' if decided_by is Decider.ANALYST else 'aurora'}:{name}"[:100]
