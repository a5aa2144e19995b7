"""Administering users: no one wins rights by it that they do not have."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from tests.conftest import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator(people: dict[str, User]) -> Client:
    return signed_in(people["administrator"])


@pytest.fixture
def root(people: dict[str, User]) -> User:
    return User.objects.create_superuser("root", password="right and long")


def fields(user: User, **changed: Any) -> dict[str, Any]:
    """Return what the page of a user sends when it is saved."""
    return {
        "username": user.username, "is_active": "on", "is_staff": "on",
        "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00",
        "access-TOTAL_FORMS": 0, "access-INITIAL_FORMS": 0, **changed,
    }  # fmt: skip


def change(client: Client, user: User, **changed: Any) -> int:
    status: int = client.post(f"/admin/auth/user/{user.pk}/change/", fields(user, **changed)).status_code
    user.refresh_from_db()
    return status


def test_an_administrator_makes_no_superuser(administrator: Client, people: dict[str, User]):
    for user in (people["administrator"], people["viewer"]):
        groups = [group.pk for group in user.groups.all()]
        change(administrator, user, is_superuser="on", groups=groups)
        assert not user.is_superuser
    added = {"username": "new", "usable_password": "true", "password1": "right and long", "password2": "right and long",
             "is_superuser": "on"}  # fmt: skip
    administrator.post("/admin/auth/user/add/", added)
    assert not User.objects.get(username="new").is_superuser


def test_an_administrator_changes_no_superuser(administrator: Client, root: User):
    assert change(administrator, root, is_active="") == 403
    assert administrator.post(f"/admin/auth/user/{root.pk}/delete/", {"post": "yes"}).status_code == 403
    passwords = {"usable_password": "true", "password1": "another and long", "password2": "another and long"}
    assert administrator.post(f"/admin/auth/user/{root.pk}/password/", passwords).status_code == 403
    root.refresh_from_db()
    assert root.check_password("right and long")
    action = {"action": "delete_selected", "_selected_action": [root.pk], "post": "yes"}
    administrator.post("/admin/auth/user/", action)
    assert User.objects.filter(pk=root.pk).exists()


def test_an_administrator_gives_no_right_beyond_the_own(administrator: Client, people: dict[str, User]):
    beyond = Permission.objects.get(codename="delete_logentry")
    own = Permission.objects.get(codename="view_user")
    viewer = people["viewer"]
    change(administrator, viewer, user_permissions=[beyond.pk])
    assert not viewer.user_permissions.exists()
    change(administrator, viewer, user_permissions=[own.pk])
    assert list(viewer.user_permissions.all()) == [own]
    strong = Group.objects.create(name="strong")
    strong.permissions.add(beyond)
    change(administrator, viewer, groups=[strong.pk])
    assert strong not in viewer.groups.all()
    group = people["administrator"].groups.get()
    administrator.post(f"/admin/auth/group/{group.pk}/change/", {"name": group.name, "permissions": [beyond.pk]})
    assert beyond not in group.permissions.all()
    assert administrator.post("/admin/auth/group/add/", {"name": "x", "permissions": [beyond.pk]}).status_code == 200
    assert administrator.post(f"/admin/auth/group/{strong.pk}/change/", {"name": "mine"}).status_code == 403
    assert administrator.post(f"/admin/auth/group/{strong.pk}/delete/", {"post": "yes"}).status_code == 403


def test_who_has_more_rights_is_out_of_reach(administrator: Client, people: dict[str, User]):
    viewer = people["viewer"]
    viewer.user_permissions.add(Permission.objects.get(codename="delete_logentry"))
    viewer.is_active = False  # Their rights come back with the next tick.
    viewer.save()
    assert change(administrator, viewer, username="taken") == 403
    assert administrator.get(f"/admin/auth/user/{viewer.pk}/change/").status_code == 200


def test_an_administrator_administers(administrator: Client, people: dict[str, User]):
    viewer, operators = people["viewer"], Group.objects.get(name="operator")
    assert change(administrator, viewer, groups=[operators.pk], first_name="Vi") == 302
    assert (viewer.first_name, list(viewer.groups.all())) == ("Vi", [operators])
    passwords = {"usable_password": "true", "password1": "another and long", "password2": "another and long"}
    assert administrator.post(f"/admin/auth/user/{viewer.pk}/password/", passwords).status_code == 302
    viewer.refresh_from_db()
    assert viewer.check_password("another and long")
    assert administrator.post(f"/admin/auth/user/{viewer.pk}/delete/", {"post": "yes"}).status_code == 302


def test_a_superuser_may_all_of_it(people: dict[str, User], root: User):
    client, viewer = signed_in(root), people["viewer"]
    beyond = Permission.objects.get(codename="delete_logentry")
    assert change(client, viewer, is_superuser="on", user_permissions=[beyond.pk]) == 302
    assert viewer.is_superuser
    assert list(viewer.user_permissions.all()) == [beyond]
