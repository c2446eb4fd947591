"""What warning lists say of the alert's observables."""

from __future__ import annotations

from aurora.kernel.evidence import Finding, derived
from aurora.kernel.models import Alert, EntityType, ObservableType
from aurora.kernel.models.knowledge import WarningCategory
from aurora.kernel.untrusted import UntrustedText, quoted
from aurora.sdk import enricher
from aurora.sdk.knowledge import Knowledge


@enricher(id="warning_lists", version="1", title="Warning lists")
async def warning_lists(alert: Alert, knowledge: Knowledge) -> list[Finding]:
    """Find the warning lists that hold the alert's addresses, names, URLs and hashes.

    One finding of kind `warning_list` for each pair of observable and list, with the attributes `list`,
    `category`, `type`, `value`, and `role` where the value is an address of known role. Special-purpose
    addresses are left to the enricher `addresses`.
    """
    roles = {
        entity.value: entity.role for entity in alert.entities if entity.type is EntityType.ADDRESS and entity.role
    }
    findings = []
    for observable in alert.observables:
        for hit in knowledge.lists.lookup(observable.type, observable.value):
            if hit.category is WarningCategory.SPECIAL_USE and observable.type is ObservableType.IP:
                continue
            attributes = {
                "list": hit.list_id,
                "category": hit.category.value,
                "type": observable.type.value,
                "value": observable.value,
            }
            if role := roles.get(observable.value):
                attributes["role"] = role
            findings.append(
                Finding(
                    kind="warning_list",
                    provenance=derived(observable.provenance),
                    source=f"{hit.list_id}@{hit.version}",
                    text=UntrustedText(
                        f"{quoted(observable.value, limit=80)} is on the list {quoted(hit.name, limit=80)}"
                    ),
                    attributes=attributes,
                )
            )
    return findings
