"""Searching text: BM25 of FTS5 on SQLite; on PostgreSQL a GIN index, and the same weights in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from memory.recall.question import Question, any_of, in_scope, rarest, rarity
from memory.recall.sql import Head, Scope, Statements
from memory.schema import scope_of

MOST_KNOWN = 20_000
"""Words whose frequencies are kept."""

_GROWN = 64
"""Frequencies are looked up again when so many items, or one in `_PART`, were written since: they only choose and
weigh words, and no word is left out for a frequency of 0."""
_PART = 50
_EXACT_WEIGHT = 2.0
_NEARLY_ALL = 0.95
"""Share of a database from which what is counted for all of it is good enough for a tenant."""
_COUNTED = 2_000
"""On PostgreSQL no word is counted further: it is frequent."""
_PER_WORD = 1_000
"""Items with one word that PostgreSQL hands to ranking."""
_MEAN_TOKENS = 60.0
"""Length of an ordinary item: longer ones count less for the same words, as in BM25 with k1 = 1.2 and b = .75,
and as on SQLite by half."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search in text found."""

    scores: Mapping[int, float]
    """By row."""
    rarities: Mapping[str, float]
    """Of the words and exact tokens of the question."""


class TextSearch(Protocol):
    """Finds items by the words of a question."""

    async def search(
        self, statements: Statements, asked: Question, scope: Scope, *, head: Head, limit: int, is_narrow: bool
    ) -> Found:
        """Return at most `limit` items.

        Args:
            statements: Of the recall's transaction.
            asked: What is searched for.
            scope: Which items may answer.
            head: How much there is.
            limit: At most so many.
            is_narrow: Whether only what the request admits counts; else all of the tenant may, as is faster.
        """


class Frequencies:
    """In how many items each word stands, as far as it was asked. Shared by all recalls of a memory."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}

    def fresh(self, words: Iterable[str], *, size: int) -> dict[str, int]:
        """Return the frequencies that are still good for a text index of this size, in items or in events."""
        found = {}
        for word in words:
            frequency, then = self._known.get(word, (0, -1))
            if 0 <= then <= size and size - then <= max(_GROWN, then // _PART):
                found[word] = frequency
        return found

    def keep(self, frequencies: Mapping[str, int], *, size: int) -> Mapping[str, int]:
        """Keep what was looked up, and return it."""
        if len(self._known) + len(frequencies) > MOST_KNOWN:
            self._known.clear()
        self._known.update((word, (frequency, size)) for word, frequency in frequencies.items())
        return frequencies


class SqliteText:
    """Implements `TextSearch` with FTS5.

    Each word is scored by itself: BM25 as FTS5 has it, in proportion to its mean, and weighed by how rare the word is
    in this tenant's items. FTS5 knows only how rare it is in all tenants' items, and gives nothing for a word that
    stands in half of them, as in a small memory every word does.
    """

    def __init__(self) -> None:
        self._everywhere = Frequencies()
        self._own = Frequencies()

    async def search(
        self, statements: Statements, asked: Question, scope: Scope, *, head: Head, limit: int, is_narrow: bool
    ) -> Found:
        token = scope_of(scope.tenant)
        known, own = await self._look_up(statements, asked, token, head=head)
        rarities = {name: rarity(frequency, of=own) for name, frequency in known.items()}
        chosen = [*rarest({name: known[name] for name in asked.words}), *asked.exact]
        # They go in as they were asked: FTS5 reduces them to stems itself.
        terms = [asked.words.get(name, name) for name in chosen]
        values = statements.values()
        mine, among = "", ""
        if is_narrow or not head.is_alone:
            source, where = "memory_text", f"memory_text MATCH {values(in_scope(token, terms))}"
            if is_narrow:
                source += " CROSS JOIN memory_items i ON i.seq = memory_text.rowid"
                where += f" AND {scope.condition(values, is_postgres=False)}"
            mine = f"WITH mine AS MATERIALIZED (SELECT memory_text.rowid AS seq FROM {source} WHERE {where})"
            among = " AND +rowid IN (SELECT seq FROM mine)"
        # Half of what BM25 gives for repetition and takes for length: 2x / (1 + x) is near the root of x. With all of
        # it, evidence recall@10 on conversations was .694, with half .702; on alerts there was no difference.
        each = [
            f"SELECT seq, {values(2 * self._weight(asked, name, rarities))} * score / (score + avg(score) OVER ())"
            " AS score FROM (SELECT rowid AS seq, -bm25(memory_text, 0.0, 1.0, 1.0) AS score FROM memory_text"
            f" WHERE memory_text MATCH {values(any_of([term]))}{among})"
            for name, term in zip(chosen, terms, strict=True)
        ]
        statement = (
            f"{mine} SELECT seq, sum(score) AS total FROM ({' UNION ALL '.join(each)})"
            f" GROUP BY seq ORDER BY total DESC, seq DESC LIMIT {values(limit)}"
        )
        found = await statements.fetch(statement, values)
        return Found({row[0]: row[1] for row in found}, rarities)

    def _weight(self, asked: Question, name: str, rarities: Mapping[str, float]) -> float:
        return rarities[name] * (1.0 if name in asked.words else _EXACT_WEIGHT)

    async def _look_up(
        self, statements: Statements, asked: Question, token: str, *, head: Head
    ) -> tuple[Mapping[str, int], int]:
        """Return in how many of the tenant's items each word and exact value stands, and how many items it has."""
        names = [*asked.words, *asked.exact]
        known = self._everywhere.fresh(names, size=head.rows)
        mine = self._own.fresh([token, *names], size=head.events)
        missing = [name for name in names if name not in known]
        if token not in mine:
            missing.append(token)
        if missing:
            values = statements.values()
            statement = f"SELECT term, doc FROM memory_words WHERE term {values.any_of(missing)}"
            found = {
                **dict.fromkeys(missing, 0),
                **{row[0]: row[1] for row in await statements.fetch(statement, values)},
            }
            if token in found:
                mine |= self._own.keep({token: found.pop(token)}, size=head.events)
            known |= self._everywhere.keep(found, size=head.rows)
        own = mine[token]
        if own >= _NEARLY_ALL * head.rows:
            return known, own
        # Others have a part in the database: what is rare among theirs may be frequent here, and is not to be told.
        if missing := [name for name, frequency in known.items() if frequency and name not in mine]:
            values = statements.values()
            spelled = [in_scope(token, [asked.words.get(name, name)]) for name in missing]
            statement = (
                "SELECT (SELECT count(*) FROM memory_text WHERE memory_text MATCH each.value)"
                f" FROM json_each({values(statements.hand.many(spelled))}) each ORDER BY each.key"
            )
            counts = [row[0] for row in await statements.fetch(statement, values)]
            mine |= self._own.keep(dict(zip(missing, counts, strict=True)), size=head.events)
        return {name: mine[name] if known[name] else 0 for name in names}, own


class PostgresText:
    """Implements `TextSearch` with the column `terms_index`.

    Each word hands in a limited number of items before anything is ranked, so that a frequent word costs no more than a
    rare one; what has it among many others may then be missed, which the vectors make up for.
    """

    def __init__(self) -> None:
        self._frequencies = Frequencies()

    async def search(
        self, statements: Statements, asked: Question, scope: Scope, *, head: Head, limit: int, is_narrow: bool
    ) -> Found:
        known = await self._look_up(statements, asked, scope.tenant, head=head)
        rarities = {name: rarity(frequency, of=head.events) for name, frequency in known.items()}
        words = rarest({name: known[name] for name in asked.words})
        chosen = [*words, *asked.exact]
        values = statements.values()
        spelled = values([asked.words.get(name, name) for name in chosen])
        weights = values([rarities[name] * (1.0 if name in asked.words else _EXACT_WEIGHT) for name in chosen])
        exact = values([name not in asked.words for name in chosen])
        condition = scope.condition(values, is_postgres=True)
        statement = f"""
            WITH asked AS MATERIALIZED (
                SELECT {_QUERY} AS query, weight
                FROM unnest({spelled}::text[], {weights}::float8[], {exact}::boolean[]) AS each(word, weight, is_exact)
            ), found AS MATERIALIZED (
                SELECT DISTINCT i.seq FROM asked CROSS JOIN LATERAL (
                    SELECT i.seq FROM memory_items i WHERE i.terms_index @@ asked.query AND {condition}
                    LIMIT {_PER_WORD}
                ) i
            )
            SELECT i.seq, s.weight * 4.4 / (3.5 + 0.9 * i.tokens / {_MEAN_TOKENS}) AS score
            FROM found JOIN memory_items i ON i.seq = found.seq CROSS JOIN LATERAL (
                SELECT sum(asked.weight) AS weight FROM asked WHERE i.terms_index @@ asked.query
            ) s
            ORDER BY score DESC, i.seq LIMIT {values(limit)}
        """
        found = await statements.fetch(statement, values)
        return Found({row[0]: row[1] for row in found}, rarities)

    async def _look_up(self, statements: Statements, asked: Question, tenant: str, *, head: Head) -> dict[str, int]:
        names = [*asked.words, *asked.exact]
        known = self._frequencies.fresh(names, size=head.events)
        if missing := [name for name in names if name not in known]:
            values = statements.values()
            spelled = values([asked.words.get(name, name) for name in missing])
            exact = values([name not in asked.words for name in missing])
            statement = f"""
                SELECT n, (SELECT count(*) FROM (
                    SELECT 1 FROM memory_items i
                    WHERE i.terms_index @@ {_QUERY} AND i.tenant = {values(tenant)} LIMIT {_COUNTED}
                ) counted)
                FROM unnest({spelled}::text[], {exact}::boolean[]) WITH ORDINALITY AS each(word, is_exact, n)
            """
            counted = await statements.fetch(statement, values)
            fresh = {missing[number - 1]: count for number, count in counted}
            known |= self._frequencies.keep(fresh, size=head.events)
        return known


_QUERY = "CASE WHEN is_exact THEN plainto_tsquery('simple', word) ELSE plainto_tsquery('english', word) END"
