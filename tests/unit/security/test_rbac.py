"""The table of permissions, cell by cell where it matters."""

from __future__ import annotations

from pathlib import Path

import pytest

from aurora.security.errors import PermissionDenied
from aurora.security.rbac import PEOPLE_ONLY, ROLE_PERMISSIONS, Permission, Role, allows, require
from scripts import docs_permissions

ROOT = Path(__file__).parents[3]


def test_there_are_five_roles_and_27_permissions():
    assert {role.value for role in Role} == {"admin", "analyst", "operator", "viewer", "api_service"}
    assert len(Permission) == 27


def test_every_role_has_a_row():
    assert set(ROLE_PERMISSIONS) == set(Role)


def test_an_analyst_sees_whatever_a_viewer_sees():
    assert ROLE_PERMISSIONS[Role.VIEWER] <= ROLE_PERMISSIONS[Role.ANALYST]


def test_only_an_admin_holds_what_an_admin_alone_needs():
    others = frozenset().union(*(held for role, held in ROLE_PERMISSIONS.items() if role is not Role.ADMIN))

    assert set(Permission) - others == {Permission.SETTINGS_MANAGE}


def test_only_people_who_answer_for_it_decide_on_approvals():
    assert {role for role in Role if allows(role, Permission.APPROVALS_DECIDE)} == {Role.ADMIN, Role.ANALYST}


def test_a_key_may_do_what_it_was_made_for_and_nothing_else():
    scope = {Permission.ALERTS_READ}

    assert {each for each in Permission if allows(Role.API_SERVICE, each, scope=scope)} == scope
    assert not any(allows(Role.API_SERVICE, each) for each in Permission)


def test_no_key_decides_on_an_approval():
    allowed = {each for each in Permission if allows(Role.API_SERVICE, each, scope=set(Permission))}

    assert allowed == set(Permission) - PEOPLE_ONLY
    assert Permission.APPROVALS_DECIDE not in allowed


def test_a_scope_adds_nothing_to_a_persons_role():
    assert not allows(Role.VIEWER, Permission.CASES_WRITE, scope=set(Permission))
    with pytest.raises(PermissionDenied):
        require(Role.VIEWER, Permission.CASES_WRITE, scope=set(Permission))


def test_a_denial_shows_no_control_characters_of_an_unknown_role():
    with pytest.raises(PermissionDenied) as caught:
        require("\x1b[2Jadmin", Permission.ALERTS_READ)

    assert "\x1b" not in str(caught.value)


def test_the_table_cannot_be_changed_at_run_time():
    with pytest.raises(TypeError):
        ROLE_PERMISSIONS[Role.VIEWER] = frozenset(Permission)


def test_the_page_is_what_the_table_says_now():
    assert (ROOT / docs_permissions.PAGE).read_text(encoding="utf-8") == docs_permissions.text(), "run `make docs`"


def test_the_page_shows_a_cell_as_the_table_has_it():
    rows = {line.split("`")[1]: line for line in docs_permissions.text().splitlines() if line.startswith("| `")}

    assert rows["cps:attest"] == "| `cps:attest` | yes |  | yes |  |"
    assert set(rows) == {*Role, *Permission}
