"""Roles and what each may do: one table, from which the page of permissions is written.

Where the founding documents do not say who holds a permission: whoever reads alerts may follow them live
(`ws:alerts`), whoever dispatches agents may watch them think (`ws:agent_thoughts`), an analyst sees whatever
a viewer sees (`dashboard:read`), and only an admin manages settings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from types import MappingProxyType

from aurora.kernel.untrusted import quoted
from aurora.security.errors import PermissionDenied


class Role(StrEnum):
    """What somebody is to Aurora. Roles do not inherit; each has its own row."""

    ADMIN = "admin"
    """Runs the installation: every permission there is, those of tomorrow included."""
    ANALYST = "analyst"
    """Works alerts and cases, and decides on proposed actions."""
    OPERATOR = "operator"
    """Looks after devices, sites and firmware."""
    VIEWER = "viewer"
    """Reads, and changes nothing."""
    API_SERVICE = "api_service"
    """A program with a key: it may do what its key says, and nothing by its role."""


class Permission(StrEnum):
    """One thing that can be allowed: `resource:verb`."""

    ALERTS_READ = "alerts:read"
    ALERTS_WRITE = "alerts:write"
    ALERTS_INVESTIGATE = "alerts:investigate"
    CASES_READ = "cases:read"
    CASES_WRITE = "cases:write"
    CASES_CLOSE = "cases:close"
    AGENTS_READ = "agents:read"
    AGENTS_DISPATCH = "agents:dispatch"
    PLAYBOOKS_READ = "playbooks:read"
    PLAYBOOKS_EXECUTE = "playbooks:execute"
    APPROVALS_READ = "approvals:read"
    APPROVALS_DECIDE = "approvals:decide"
    IOCS_READ = "iocs:read"
    IOCS_WRITE = "iocs:write"
    SIEM_READ = "siem:read"
    CPS_READ = "cps:read"
    CPS_WRITE = "cps:write"
    CPS_ATTEST = "cps:attest"
    REPORTS_READ = "reports:read"
    REPORTS_GENERATE = "reports:generate"
    SITES_READ = "sites:read"
    FIRMWARE_READ = "firmware:read"
    FIRMWARE_UPDATE = "firmware:update"
    DASHBOARD_READ = "dashboard:read"
    SETTINGS_MANAGE = "settings:manage"
    WS_ALERTS = "ws:alerts"
    WS_AGENT_THOUGHTS = "ws:agent_thoughts"


_P = Permission

ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType({
    Role.ADMIN: frozenset(Permission),
    Role.ANALYST: frozenset({
        _P.ALERTS_READ, _P.ALERTS_WRITE, _P.ALERTS_INVESTIGATE,
        _P.CASES_READ, _P.CASES_WRITE, _P.CASES_CLOSE,
        _P.AGENTS_READ, _P.AGENTS_DISPATCH,
        _P.PLAYBOOKS_READ, _P.PLAYBOOKS_EXECUTE,
        _P.APPROVALS_READ, _P.APPROVALS_DECIDE,
        _P.IOCS_READ, _P.IOCS_WRITE,
        _P.SIEM_READ, _P.CPS_READ,
        _P.REPORTS_READ, _P.REPORTS_GENERATE,
        _P.DASHBOARD_READ, _P.WS_ALERTS, _P.WS_AGENT_THOUGHTS,
    }),
    Role.OPERATOR: frozenset({
        _P.ALERTS_READ, _P.AGENTS_READ,
        _P.CPS_READ, _P.CPS_WRITE, _P.CPS_ATTEST,
        _P.SITES_READ, _P.FIRMWARE_READ, _P.FIRMWARE_UPDATE,
        _P.WS_ALERTS,
    }),
    Role.VIEWER: frozenset({
        _P.ALERTS_READ, _P.CASES_READ, _P.AGENTS_READ, _P.REPORTS_READ, _P.DASHBOARD_READ, _P.WS_ALERTS,
    }),
    Role.API_SERVICE: frozenset(),
})  # fmt: skip
"""What each role may do by itself."""

PEOPLE_ONLY = frozenset({Permission.APPROVALS_DECIDE})
"""What no key can hold: a program that approved what a program proposed would leave nobody in between."""


def allows(role: Role | str, permission: Permission | str, *, scope: Collection[Permission] = ()) -> bool:
    """Return whether `role` may do `permission`. What is unknown is denied.

    Args:
        role: The role, or its name as it stands in a token.
        permission: The permission, or its name.
        scope: What the key of an `api_service` was made for; means nothing to the other roles.
    """
    try:
        known, wanted = Role(role), Permission(permission)
    except ValueError:
        return False
    if known is Role.API_SERVICE:
        return wanted in scope and wanted not in PEOPLE_ONLY
    return wanted in ROLE_PERMISSIONS[known]


def require(role: Role | str, permission: Permission | str, *, scope: Collection[Permission] = ()) -> None:
    """Return if `allows` says yes.

    Raises:
        PermissionDenied: it says no; the message names role and permission, for whoever grants them.
    """
    if not allows(role, permission, scope=scope):
        name, wanted = quoted(str(role), limit=40), quoted(str(permission), limit=40)
        raise PermissionDenied(f"role {name} has no permission {wanted}: ask an administrator for it")
