# ruff: noqa: S608 - every part of a text is fixed, or one of our own names and numbers
"""The statements of the ledger's hot path, in the words of either database.

Written by hand: SQLAlchemy takes longer to bind and fetch a claim than SQLite takes to make it. What is a list goes
in as one JSON document, so that a statement has one text, and one plan, whatever the number of tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_kept = lru_cache(maxsize=64)  # of the few texts there are

COLUMNS = (
    "id, tenant, run_id, graph, graph_version, agent_type, thread_id, alert_id, input, correlation, traceparent, "
    "created_at, run_at, deadline, priority, idempotency_key, epoch, attempt, max_attempts"
)
"""What is read of a claimed task, in this order."""

_ENTRY = {
    "settle": {
        "id": "uuid",
        "epoch": "int",
        "state": "text",
        "run_at": "timestamptz",
        "free": "int",
        "code": "text",
        "reason": "text",
        "version": "text",
    },
    "runs": {
        "id": "uuid",
        "outcome": "text",
        "version": "text",
        "started_at": "timestamptz",
        "finished_at": "timestamptz",
    },
    "successes": {"id": "uuid", "epoch": "int", "version": "text"},
    "claims": {"id": "uuid", "epoch": "int"},
    "share": {"tenant": "text", "n": "int"},
}
"""Fields of the documents that go in."""


@dataclass(frozen=True, slots=True)
class Statements:
    """The texts for one database."""

    is_postgres: bool

    @_kept
    def settle(self) -> str:
        """Parameters: the endings, now, whether results are published."""
        return self._said(f"""
            WITH held AS {self._once} (
                SELECT task.id, entry.state AS wanted, entry.code, entry.reason, entry.version,
                    CASE
                        WHEN entry.state IN ('queued', 'waiting') AND task.cancel_requested THEN 'cancelled'
                        WHEN entry.state = 'waiting' AND task.woken THEN 'queued'
                        ELSE entry.state
                    END AS became,
                    coalesce(entry.run_at, :2) AS due,
                    CASE
                        WHEN entry.state = 'waiting' THEN 0
                        WHEN entry.free = 1 AND task.attempt > 0 THEN task.attempt - 1
                        ELSE task.attempt
                    END AS counted
                FROM {self._entries(1, "settle")} {self._cross} tasks AS task
                WHERE task.id = entry.id AND task.epoch = entry.epoch AND task.state = 'running'
                {self._locked}
            )
            UPDATE tasks SET
                state = held.became,
                owner = NULL,
                lease_until = NULL,
                attempt = held.counted,
                graph_version = coalesce(held.version, tasks.graph_version),
                run_at = CASE WHEN held.became = 'queued' THEN held.due ELSE tasks.run_at END,
                notified_at = CASE WHEN held.became = 'queued' THEN NULL ELSE tasks.notified_at END,
                error = CASE WHEN held.became = 'queued' THEN coalesce(held.code, tasks.error) ELSE held.code END,
                reason = CASE WHEN held.became = 'queued' THEN coalesce(held.reason, tasks.reason) ELSE held.reason END,
                finished_at = CASE WHEN held.became IN ('queued', 'waiting') THEN NULL ELSE :2 END,
                result_due = CASE WHEN held.became IN ('queued', 'waiting') THEN false ELSE :3 END
            FROM held WHERE tasks.id = held.id
            RETURNING tasks.id, tasks.state
        """)

    @_kept
    def succeed(self) -> str:
        """The same for nothing but successes, on SQLite, where it takes half the time. Parameters as for `settle`."""
        return self._said(f"""
            UPDATE tasks SET state = 'succeeded', owner = NULL, lease_until = NULL, finished_at = :2, error = NULL,
                reason = NULL, result_due = :3, graph_version = coalesce(entry.version, tasks.graph_version)
            FROM {self._entries(1, "successes")}
            WHERE tasks.id = entry.id AND tasks.epoch = entry.epoch AND tasks.state = 'running'
            RETURNING tasks.id
        """)

    @_kept
    def end_run(self) -> str:
        """For one run on SQLite. Parameters: its id, outcome, version, beginning, end; the first three may be NULL."""
        return self._said("""
            UPDATE runs SET outcome = coalesce(:2, outcome), graph_version = coalesce(:3, graph_version),
                started_at = coalesce(:4, started_at), finished_at = :5
            WHERE id = :1
        """)

    @_kept
    def end_runs(self) -> str:
        """Parameter: what is to be noted of each run; what is missing stays as it is."""
        return self._said(f"""
            UPDATE runs SET
                outcome = coalesce(entry.outcome, runs.outcome),
                graph_version = coalesce(entry.version, runs.graph_version),
                started_at = coalesce(entry.started_at, runs.started_at),
                finished_at = entry.finished_at
            FROM {self._entries(1, "runs")} WHERE runs.id = entry.id
        """)

    @_kept
    def heads(self) -> str:
        """The first task of every tenant and priority. A loose scan: it skips from one tenant to the next."""
        first = f"FROM tasks {self._by_queue} WHERE state = 'queued'"
        numbers = ", ".join(f"({number})" for number in range(9, -1, -1))
        return self._said(f"""
            WITH RECURSIVE found(tenant) AS (
                SELECT (SELECT tenant {first} ORDER BY tenant LIMIT 1)
                UNION ALL
                SELECT (SELECT tenant {first} AND tenant > found.tenant ORDER BY tenant LIMIT 1)
                FROM found WHERE found.tenant IS NOT NULL
            ), level(number) AS (VALUES {numbers}), head AS (
                SELECT found.tenant, level.number, (
                    SELECT run_at {first} AND tenant = found.tenant AND priority = level.number
                    ORDER BY run_at LIMIT 1
                ) AS run_at
                FROM found {self._cross} level WHERE found.tenant IS NOT NULL
            )
            SELECT tenant, number, run_at FROM head WHERE run_at IS NOT NULL
        """)

    @_kept
    def claim_best(self, priorities: Sequence[int]) -> str:
        """Parameters: owner, lease, versions by graph, graphs, now, limit, tenant."""
        return self._claim(f"SELECT id FROM ({self._best(priorities, ':7', ':6')}) AS best")

    @_kept
    def claim_given(self, named: str) -> str:
        """Parameters: owner, lease, versions by graph, graphs, now, limit, ids, the moment of what is held.

        Args:
            named: What the ids are of: `id` or `alert_id`.
        """
        return self._claim(f"""
            SELECT id FROM tasks
            WHERE {named} {self._among(":7", "uuid")} AND state = 'queued' AND (run_at <= :5 OR run_at = :8)
                AND graph {self._among(":4", "text")}
            ORDER BY priority DESC, run_at, id LIMIT :6 {self._free}
        """)

    @_kept
    def claim_these(self) -> str:
        """Parameters: owner, lease, versions by graph, the ids."""
        return self._claim(f"SELECT id FROM tasks WHERE id {self._among(':4', 'uuid')} AND state = 'queued'")

    @_kept
    def candidates(self, priorities: Sequence[int]) -> str:
        """The best tasks of several tenants. Parameters: their shares, graphs, now, the largest share.

        On PostgreSQL they are locked, those that others have locked are left out, and a tenant has as many as its
        share says; SQLite, which takes no column for a limit, gives each as many as the largest share.
        """
        best = self._best(priorities, "entry.tenant", "entry.n" if self.is_postgres else ":4", graphs=":2", now=":3")
        if self.is_postgres:
            return self._said(f"""
                SELECT best.id, entry.tenant, best.level, best.run_at FROM {self._entries(1, "share")}
                CROSS JOIN LATERAL ({best}) AS best WHERE :4::int > 0
            """)
        return self._said(f"""
            SELECT task.id, entry.tenant, task.priority, task.run_at
            FROM {self._entries(1, "share")} CROSS JOIN tasks AS task
            WHERE task.id IN (SELECT id FROM ({best}) AS best)
        """)

    @_kept
    def beat(self) -> str:
        """Parameters: the claims, until when."""
        return self._said(f"""
            WITH held AS {self._once} (
                SELECT task.id FROM {self._entries(1, "claims")} {self._cross} tasks AS task
                WHERE task.id = entry.id AND task.epoch = entry.epoch AND task.state = 'running'
                {self._locked}
            )
            UPDATE tasks SET lease_until = :2 FROM held WHERE tasks.id = held.id
            RETURNING tasks.id, tasks.cancel_requested
        """)

    def _claim(self, chosen: str) -> str:
        version = "(SELECT value FROM json_each(:3) WHERE key = tasks.graph)"
        if self.is_postgres:
            version = "(:3::jsonb ->> tasks.graph)"
        return self._said(f"""
            WITH chosen AS {self._once} ({chosen})
            UPDATE tasks SET
                state = 'running', epoch = epoch + 1, attempt = attempt + 1, owner = :1, lease_until = :2,
                woken = false, graph_version = coalesce(graph_version, {version})
            WHERE id IN (SELECT id FROM chosen)
            RETURNING {COLUMNS}
        """)

    def _best(self, priorities: Sequence[int], tenant: str, limit: str, *, graphs: str = ":4", now: str = ":5") -> str:
        # One branch for every priority, each in the order of the index; the next is only looked at when the one
        # before gave too few. In one branch all that is queued, and all that is held, would have to be sorted.
        return (
            " UNION ALL ".join(
                f"""
                SELECT * FROM (
                    SELECT id, run_at, {priority} AS level FROM tasks {self._by_queue}
                    WHERE state = 'queued' AND tenant = {tenant} AND priority = {priority} AND run_at <= {now}
                        AND graph {self._among(graphs, "text")}
                    ORDER BY run_at, id LIMIT {limit} {self._free}
                ) AS level_{priority}
                """
                for priority in priorities
            )
            + f" LIMIT {limit}"
        )

    def _entries(self, number: int, kind: str) -> str:
        fields = _ENTRY[kind]
        if self.is_postgres:
            typed = ", ".join(f"{name} {type_}" for name, type_ in fields.items())
            return f"jsonb_to_recordset(:{number}::jsonb) AS entry ({typed})"
        named = ", ".join(f"value ->> '{name}' AS {name}" for name in fields)
        return f"(SELECT {named} FROM json_each(:{number})) AS entry"

    def _among(self, parameter: str, type_: str) -> str:
        if self.is_postgres:
            return f"= ANY(ARRAY(SELECT jsonb_array_elements_text({parameter}::jsonb)::{type_}))"
        return f"IN (SELECT value FROM json_each({parameter}))"

    @property
    def _by_queue(self) -> str:
        return "" if self.is_postgres else "INDEXED BY ix_tasks_queued"

    @property
    def _once(self) -> str:
        return "MATERIALIZED"  # both know it; PostgreSQL may else run a subquery with a lock and a limit twice

    @property
    def _cross(self) -> str:
        return "CROSS JOIN"  # on SQLite it also says which comes first

    @property
    def _locked(self) -> str:
        """In the order of ids: who locks many rows in another order waits for one who waits for it."""
        return "ORDER BY task.id FOR UPDATE OF task" if self.is_postgres else ""

    @property
    def _free(self) -> str:
        return "FOR UPDATE SKIP LOCKED" if self.is_postgres else ""

    def _said(self, text: str) -> str:
        mark = "$" if self.is_postgres else "?"
        return " ".join(text.replace("::", "\0").replace(":", mark).replace("\0", "::").split())


@lru_cache(maxsize=2)
def statements(dialect: str) -> Statements:
    """Return the texts for a dialect."""
    return Statements(is_postgres=dialect == "postgresql")
