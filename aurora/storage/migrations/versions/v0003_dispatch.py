"""Dispatch: when, by whom and how often tasks run; who works; what runs on a schedule."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aurora.storage.base import BigInt, Id, Json, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ADDED = (
    ("graph_version", sa.String(length=64)),
    ("agent_type", sa.String(length=64)),
    ("batch_id", Id()),
    ("correlation", Json),
    ("traceparent", sa.String(length=64)),
    ("deadline", UtcDateTime()),
    ("notified_at", UtcDateTime()),
    ("reason", sa.String(length=500)),
)
_FLAGS = ("cancel_requested", "woken", "result_due")
_INDEXES = (
    ("ix_tasks_queued", ["tenant", "priority", "run_at", "id"], "state = 'queued'"),
    ("ix_tasks_untold", ["notified_at", "run_at"], "state = 'queued'"),
    ("ix_tasks_running", ["lease_until"], "state = 'running'"),
    ("ix_tasks_due", ["deadline"], "deadline IS NOT NULL AND state IN ('queued', 'waiting')"),
    ("ix_tasks_result_due", ["id"], "result_due"),
    ("ix_tasks_batch", ["batch_id"], "batch_id IS NOT NULL"),
)


def upgrade() -> None:
    """Add what the dispatcher keeps. Open tasks may run at once, as before."""
    op.drop_index("ix_tasks_claim", table_name="tasks")
    for name, type_ in _ADDED:
        op.add_column("tasks", sa.Column(name, type_, nullable=True))
    with op.batch_alter_table("tasks") as table:
        table.add_column(sa.Column("max_attempts", sa.SmallInteger(), nullable=False, server_default="5"))
        for name in _FLAGS:
            table.add_column(sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("run_at", UtcDateTime(), nullable=True))
    op.execute("UPDATE tasks SET run_at = created_at")
    with op.batch_alter_table("tasks") as table:
        table.alter_column("run_at", existing_type=UtcDateTime(), nullable=False)
        for name in ("max_attempts", *_FLAGS):
            table.alter_column(name, server_default=None)
    op.create_index("ix_tasks_state", "tasks", ["tenant", "state", "id"])
    for name, columns, where in _INDEXES:
        op.create_index(name, "tasks", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_table(
        "task_events",
        sa.Column("id", BigInt, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("task_id", Id(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("code", sa.String(length=100), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_events")),
    )
    op.create_index("ix_task_events_task", "task_events", ["task_id", "id"])
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("lanes", Json, nullable=False),
        sa.Column("graphs", Json, nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("running", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("details", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_table(
        "circuits",
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("decided_by", sa.String(length=128), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_circuits")),
    )
    op.create_table(
        "schedules",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("graph", sa.String(length=64), nullable=False),
        sa.Column("input", Json, nullable=False),
        sa.Column("agent_type", sa.String(length=64), nullable=True),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("cron", sa.String(length=128), nullable=True),
        sa.Column("every_s", sa.Integer(), nullable=True),
        sa.Column("offset_s", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("catch_up", sa.String(length=8), nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("passed", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_schedules")),
    )
    op.create_table(
        "schedule_slots",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("schedule_id", sa.String(length=64), nullable=False),
        sa.Column("slot", UtcDateTime(), nullable=False),
        sa.Column("task_id", Id(), nullable=False),
        sa.Column("fired_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "schedule_id", "slot", name=op.f("pk_schedule_slots")),
    )


def downgrade() -> None:
    """Remove them. Tasks that wait for a later time may run at once."""
    for table in ("schedule_slots", "schedules", "circuits", "workers", "task_events"):
        op.drop_table(table)
    for name, _, _ in reversed(_INDEXES):
        op.drop_index(name, table_name="tasks")
    op.drop_index("ix_tasks_state", table_name="tasks")
    with op.batch_alter_table("tasks") as tasks:
        for name in ("run_at", *_FLAGS, "max_attempts", *(name for name, _ in reversed(_ADDED))):
            tasks.drop_column(name)
    op.create_index("ix_tasks_claim", "tasks", ["tenant", "state", "priority", "id"])
