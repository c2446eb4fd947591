"""First light: alerts, cases, verdicts, runs, checkpoints."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aurora.storage.base import BigInt, Digest, Id, Json, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "batches",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("inputs_digest", Digest, nullable=False),
        sa.Column("inputs", Json, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("counts", Json, nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("accepted_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_index("ix_batches_open", "batches", ["tenant", "inputs_digest", "state"], unique=False)

    op.create_table(
        "cases",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("group_id", Id(), nullable=True),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("assigned_agent", sa.String(length=64), nullable=True),
        sa.Column("is_cps", sa.Boolean(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("techniques", Json, nullable=False),
        sa.Column("iocs", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("tenant", "group_id", name=op.f("uq_cases_tenant_group_id")),
    )
    op.create_table(
        "checkpoint_blobs",
        sa.Column("thread_id", sa.String(length=128), nullable=False),
        sa.Column("checkpoint_ns", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("thread_id", "checkpoint_ns", "channel", "version", name=op.f("pk_checkpoint_blobs")),
    )
    op.create_table(
        "checkpoint_writes",
        sa.Column("thread_id", sa.String(length=128), nullable=False),
        sa.Column("checkpoint_ns", sa.Text(), nullable=False),
        sa.Column("checkpoint_id", sa.String(length=64), nullable=False),
        sa.Column("task_id", sa.String(length=64), nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("task_path", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "thread_id", "checkpoint_ns", "checkpoint_id", "task_id", "idx", name=op.f("pk_checkpoint_writes")
        ),
    )
    op.create_table(
        "checkpoints",
        sa.Column("thread_id", sa.String(length=128), nullable=False),
        sa.Column("checkpoint_ns", sa.Text(), nullable=False),
        sa.Column("checkpoint_id", sa.String(length=64), nullable=False),
        sa.Column("parent_id", sa.String(length=64), nullable=True),
        sa.Column("run_id", sa.String(length=128), nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("metadata", Json, nullable=False),
        sa.PrimaryKeyConstraint("thread_id", "checkpoint_ns", "checkpoint_id", name=op.f("pk_checkpoints")),
    )
    op.create_index(op.f("ix_checkpoints_run_id"), "checkpoints", ["run_id"], unique=False)

    op.create_table(
        "cps_devices",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=128), nullable=False),
        sa.Column("device_type", sa.String(length=64), nullable=False),
        sa.Column("firmware_stack", sa.String(length=32), nullable=False),
        sa.Column("firmware_version", sa.String(length=64), nullable=False),
        sa.Column("firmware_hash", sa.String(length=64), nullable=False),
        sa.Column("attestation_status", sa.String(length=16), nullable=False),
        sa.Column("risk_score", sa.Float(), nullable=False),
        sa.Column("location", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cps_devices")),
        sa.UniqueConstraint("tenant", "device_id", name=op.f("uq_cps_devices_tenant_device_id")),
    )
    op.create_table(
        "iocs",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=500), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("first_seen", UtcDateTime(), nullable=True),
        sa.Column("last_seen", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_iocs")),
        sa.UniqueConstraint("tenant", "type", "value", name=op.f("uq_iocs_tenant_type_value")),
    )
    op.create_table(
        "runs",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("task_id", Id(), nullable=False),
        sa.Column("graph", sa.String(length=64), nullable=False),
        sa.Column("graph_version", sa.String(length=64), nullable=True),
        sa.Column("thread_id", sa.String(length=128), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("details", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index(op.f("ix_runs_task_id"), "runs", ["task_id"], unique=False)
    op.create_index(op.f("ix_runs_thread_id"), "runs", ["thread_id"], unique=False)

    op.create_table(
        "tasks",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("graph", sa.String(length=64), nullable=False),
        sa.Column("thread_id", sa.String(length=128), nullable=False),
        sa.Column("alert_id", Id(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("tenant", "idempotency_key", name=op.f("uq_tasks_tenant_idempotency_key")),
    )
    op.create_index(op.f("ix_tasks_alert_id"), "tasks", ["alert_id"], unique=False)
    op.create_index("ix_tasks_claim", "tasks", ["tenant", "state", "priority", "id"], unique=False)

    op.create_table(
        "alerts",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("format", sa.String(length=32), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("asset_type", sa.String(length=32), nullable=True),
        sa.Column("affected_assets", Json, nullable=False),
        sa.Column("iocs", Json, nullable=False),
        sa.Column("entities", Json, nullable=False),
        sa.Column("fields", Json, nullable=False),
        sa.Column("mitre_techniques", Json, nullable=False),
        sa.Column("raw_log", sa.Text(), nullable=True),
        sa.Column("assigned_agent", sa.String(length=64), nullable=True),
        sa.Column("case_id", Id(), nullable=True),
        sa.Column("dedup_hash", sa.String(length=64), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_seen", UtcDateTime(), nullable=True),
        sa.Column("last_seen", UtcDateTime(), nullable=True),
        sa.Column("event_time", UtcDateTime(), nullable=True),
        sa.Column("batch_id", Id(), nullable=True),
        sa.Column("batch_seq", BigInt, nullable=True),
        sa.Column("group_id", Id(), nullable=True),
        sa.Column("verdict_id", Id(), nullable=True),
        sa.Column("metadata", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_alerts_batch_id_batches")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_alerts_case_id_cases")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index("ix_alerts_batch", "alerts", ["batch_id", "batch_seq"], unique=False)
    op.create_index(op.f("ix_alerts_case_id"), "alerts", ["case_id"], unique=False)
    op.create_index("ix_alerts_dedup", "alerts", ["tenant", "dedup_hash", "last_seen"], unique=False)
    op.create_index("ix_alerts_group", "alerts", ["tenant", "group_id"], unique=False)

    op.create_table(
        "rejected_records",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("record_key", Digest, nullable=False),
        sa.Column("batch_id", Id(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("line", BigInt, nullable=False),
        sa.Column("offset_bytes", BigInt, nullable=False),
        sa.Column("size_bytes", BigInt, nullable=False),
        sa.Column("format", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("message", sa.String(length=500), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("rejected_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_rejected_records_batch_id_batches")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejected_records")),
        sa.UniqueConstraint(
            "tenant", "record_key", "reason", name=op.f("uq_rejected_records_tenant_record_key_reason")
        ),
    )
    op.create_index(op.f("ix_rejected_records_batch_id"), "rejected_records", ["batch_id"], unique=False)

    op.create_table(
        "alert_entities",
        sa.Column("alert_id", Id(), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=300), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("batch_id", Id(), nullable=False),
        sa.Column("event_time", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_entities_alert_id_alerts")),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_alert_entities_batch_id_batches")),
        sa.PrimaryKeyConstraint("alert_id", "type", "value", name=op.f("pk_alert_entities")),
    )
    op.create_index("ix_alert_entities_batch", "alert_entities", ["batch_id"], unique=False)
    op.create_index(
        "ix_alert_entities_value", "alert_entities", ["tenant", "type", "value", "event_time"], unique=False
    )

    op.create_table(
        "alert_records",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("record_key", Digest, nullable=False),
        sa.Column("alert_id", Id(), nullable=False),
        sa.Column("batch_id", Id(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("line", BigInt, nullable=False),
        sa.Column("offset_bytes", BigInt, nullable=False),
        sa.Column("event_time", UtcDateTime(), nullable=True),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_records_alert_id_alerts")),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_alert_records_batch_id_batches")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_records")),
        sa.UniqueConstraint("tenant", "record_key", name=op.f("uq_alert_records_tenant_record_key")),
    )
    op.create_index(op.f("ix_alert_records_alert_id"), "alert_records", ["alert_id"], unique=False)
    op.create_index(op.f("ix_alert_records_batch_id"), "alert_records", ["batch_id"], unique=False)

    op.create_table(
        "alert_relations",
        sa.Column("alert_id", Id(), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=300), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("alerts", sa.Integer(), nullable=False),
        sa.Column("severe", sa.Integer(), nullable=False),
        sa.Column("rules", sa.Integer(), nullable=False),
        sa.Column("sources", Json, nullable=False),
        sa.Column("techniques", Json, nullable=False),
        sa.Column("example", Id(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_relations_alert_id_alerts")),
        sa.PrimaryKeyConstraint("alert_id", "type", "value", name=op.f("pk_alert_relations")),
    )
    op.create_table(
        "verdicts",
        sa.Column("id", Id(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("alert_id", Id(), nullable=False),
        sa.Column("run_id", Id(), nullable=True),
        sa.Column("batch_id", Id(), nullable=True),
        sa.Column("dedup_hash", sa.String(length=64), nullable=True),
        sa.Column("label", sa.String(length=16), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", Json, nullable=False),
        sa.Column("contributions", Json, nullable=False),
        sa.Column("techniques", Json, nullable=False),
        sa.Column("dropped", Json, nullable=False),
        sa.Column("decided_by", sa.String(length=16), nullable=False),
        sa.Column("decided_name", sa.String(length=200), nullable=False),
        sa.Column("degraded", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_verdicts_alert_id_alerts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
        sa.UniqueConstraint("run_id", name=op.f("uq_verdicts_run_id")),
    )
    op.create_index(op.f("ix_verdicts_alert_id"), "verdicts", ["alert_id"], unique=False)
    op.create_index("ix_verdicts_recall", "verdicts", ["tenant", "dedup_hash", "created_at"], unique=False)


def downgrade() -> None:
    """Remove every table, and with them all data."""
    op.drop_index("ix_verdicts_recall", "verdicts")
    op.drop_index(op.f("ix_verdicts_alert_id"), "verdicts")

    op.drop_table("verdicts")
    op.drop_table("alert_relations")
    op.drop_index(op.f("ix_alert_records_batch_id"), "alert_records")
    op.drop_index(op.f("ix_alert_records_alert_id"), "alert_records")

    op.drop_table("alert_records")
    op.drop_index("ix_alert_entities_value", "alert_entities")
    op.drop_index("ix_alert_entities_batch", "alert_entities")

    op.drop_table("alert_entities")
    op.drop_index(op.f("ix_rejected_records_batch_id"), "rejected_records")

    op.drop_table("rejected_records")
    op.drop_index("ix_alerts_group", "alerts")
    op.drop_index("ix_alerts_dedup", "alerts")
    op.drop_index(op.f("ix_alerts_case_id"), "alerts")
    op.drop_index("ix_alerts_batch", "alerts")

    op.drop_table("alerts")
    op.drop_index("ix_tasks_claim", "tasks")
    op.drop_index(op.f("ix_tasks_alert_id"), "tasks")

    op.drop_table("tasks")
    op.drop_index(op.f("ix_runs_thread_id"), "runs")
    op.drop_index(op.f("ix_runs_task_id"), "runs")

    op.drop_table("runs")
    op.drop_table("iocs")
    op.drop_table("cps_devices")
    op.drop_index(op.f("ix_checkpoints_run_id"), "checkpoints")

    op.drop_table("checkpoints")
    op.drop_table("checkpoint_writes")
    op.drop_table("checkpoint_blobs")
    op.drop_table("cases")
    op.drop_index("ix_batches_open", "batches")

    op.drop_table("batches")
