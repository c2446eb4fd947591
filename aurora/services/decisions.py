"""An analyst decides: the correction of a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aurora.kernel.clock import Clock
from aurora.kernel.errors import Conflict, InputError
from aurora.kernel.evidence import Claim, Evidence, Provenance
from aurora.kernel.ids import AlertId, CaseId, IdFactory, VerdictId
from aurora.kernel.models import AlertStatus, Contribution, Decider, Verdict, VerdictLabel
from aurora.kernel.untrusted import UntrustedText
from aurora.services.outcomes import ANALYST_RULE
from aurora.storage.remembered import Judgements
from aurora.storage.triage import Conclusion, conclude
from aurora.storage.unit_of_work import Storage, Transaction

LONGEST_REASON = 2000
"""Characters: a reason is some sentences; a report belongs into the case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What was written."""

    alert_id: AlertId
    before: str | None
    """The label that stood until now; `None` if there was none."""
    verdict: Verdict
    status: str
    case_id: CaseId | None


async def decide_alert(
    storage: Storage,
    *,
    alert: str,
    label: VerdictLabel,
    reason: str,
    analyst: str,
    close: bool = False,
    clock: Clock,
    ids: IdFactory,
    judgements: Callable[[Transaction], Judgements | None] = lambda _: None,
) -> Decided:
    """Append an analyst's verdict to an alert; what rules or models said stays in its history.

    The reason becomes a piece of evidence of human provenance, with one claim that cites it. The evidence
    that was there stays, behind it. Verdicts of later alerts with the same fingerprint recall the correction, and with
    a memory so do those of similar ones.

    Args:
        storage: Where the alert is.
        alert: Id of the alert or of one of its duplicates, or the end of one.
        label: What the analyst concluded.
        reason: Why, in their words.
        analyst: Name of the analyst.
        close: Close the alert, so that the next occurrence opens a new one.
        clock: Time of the decision.
        ids: Where the id of the verdict comes from.
        judgements: Returns what remembers the decision within its transaction, if anything does.

    Raises:
        NotFound: there is no such alert.
        InputError: the reason is empty or too long.
        Conflict: the alert is still being triaged.
    """
    reason = reason.strip()
    if not 0 < len(reason) <= LONGEST_REASON:
        raise InputError(f"a decision needs a reason of 1 to {LONGEST_REASON} characters")
    async with storage.writing() as transaction:
        alert_id = await transaction.alerts.resolve(alert)
        if await transaction.tasks.unsettled(alerts=[alert_id]):
            raise Conflict("the alert is still being triaged; decide when it has its verdict", alert_id=str(alert_id))
        stored = await transaction.alerts.load(alert_id)
        before, verdict = await _corrected(
            transaction,
            alert_id,
            Verdict(
                id=VerdictId(ids()),
                alert_id=alert_id,
                label=label,
                confidence=1.0,
                reason=reason,
                decided_by=Decider.ANALYST,
                decided_name=analyst[:200],
                created_at=clock.now(),
            ),
        )
        status = _closed(label) if close else None
        conclusion = Conclusion(stored, verdict, stored.alert.observables, status)
        (written,) = await conclude(transaction, [conclusion], now=verdict.created_at)
        case_id = written.case_id or stored.case_id
        if case_id is not None:
            await transaction.cases.refresh([case_id], now=verdict.created_at)
        remembers = judgements(transaction)
        if remembers is not None:
            await remembers.remember([(stored.alert, verdict, stored.alert.observables)])
    return Decided(
        alert_id=alert_id, before=before, verdict=verdict, status=(status or stored.alert.status).value, case_id=case_id
    )


async def _corrected(transaction: Transaction, alert_id: AlertId, bare: Verdict) -> tuple[str | None, Verdict]:
    """Return the label that stood, and the correction with the reason in front of what triage found.

    Earlier corrections stay in the history; each rests on what triage found, not on another one.
    """
    history = await transaction.verdicts.history(alert_id)
    found = [each for each in history if each["decided_by"] != Decider.ANALYST]
    basis: dict[str, Any] = (
        found[-1] if found else {"evidence": [], "contributions": [], "techniques": [], "score": 0.0, "dropped": []}
    )
    word = Evidence(
        id="a1",
        kind="analyst",
        provenance=Provenance.HUMAN,
        text=UntrustedText(bare.reason),
        source=None,
        attributes={"label": bare.label.value, "name": bare.decided_name},
    )
    claim = Claim(text=UntrustedText(f"an analyst decided {bare.label.value}: {bare.reason}"), evidence=(word.id,))
    own = Contribution(rule=ANALYST_RULE, weight=0.0, claim=claim)  # a decision is not weighed; it stands first
    # Through the model, so that what was stored is checked once more before it is signed by a person.
    verdict = Verdict.model_validate(
        {
            **bare.model_dump(),
            "score": basis["score"],
            "dropped": basis["dropped"],
            "evidence": [word.model_dump(), *basis["evidence"]],
            "contributions": [own.model_dump(), *basis["contributions"]],
            "techniques": [] if bare.label is VerdictLabel.BENIGN else basis["techniques"],
        }
    )
    return (history[-1]["label"] if history else None), verdict


def _closed(label: VerdictLabel) -> AlertStatus:
    return AlertStatus.FALSE_POSITIVE if label is VerdictLabel.BENIGN else AlertStatus.RESOLVED
