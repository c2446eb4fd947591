"""The reference of roles and permissions, written from the table that is enforced."""

from __future__ import annotations

import ast
import inspect

from aurora.security.rbac import PEOPLE_ONLY, ROLE_PERMISSIONS, Permission, Role

PAGE = "docs/reference/permissions.md"
"""Where the text belongs, from the root of the repository."""

_COLUMNS = tuple(role for role in Role if role is not Role.API_SERVICE)


def text() -> str:
    """Return the page: the roles, then every permission with who holds it."""
    lines = [
        "# Roles and permissions",
        "",
        "Written by `make docs` from the table that is enforced; do not edit. What is not in it is denied,",
        "and so is an unknown role.",
        "",
        "| Role | What it is |",
        "|---|---|",
        *(f"| `{role}` | {doc} |" for role, doc in _roles().items()),
        "",
        "A key of an `api_service` holds the permissions it was made for, never more, and never",
        f"{', '.join(f'`{each}`' for each in sorted(PEOPLE_ONLY))}: that takes a person.",
        "",
        f"| Permission | {' | '.join(_COLUMNS)} |",
        f"|---|{'---|' * len(_COLUMNS)}",
        *(_row(permission) for permission in Permission),
    ]
    return "\n".join(lines) + "\n"


def _row(permission: Permission) -> str:
    held = ("yes" if permission in ROLE_PERMISSIONS[role] else "" for role in _COLUMNS)
    return f"| `{permission}` | {' | '.join(held)} |"


def _roles() -> dict[Role, str]:
    """Return the string under each role, which Python itself throws away."""
    body = ast.parse(inspect.getsource(Role)).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[Role, str] = {}
    for member, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(after, ast.Expr):
            found[Role(ast.literal_eval(member.value))] = " ".join(str(ast.literal_eval(after.value)).split())
    return found
