"""Users of a limited group see what the group may see, unless they have a limit of their own."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connections
from django.test.utils import CaptureQueriesContext

from statestore import models
from statestore.access import rights
from tests.builders import make_agent
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db


def limited_group(name: str, *namespaces: str, **columns: Any) -> Group:
    group = Group.objects.create(name=name)
    models.GroupAccess.objects.create(group=group, namespaces=list(namespaces) or None, **columns)
    return group


def namespaces_of(user: User) -> tuple[str, ...] | None:
    return rights.namespaces_of(User.objects.get(pk=user.pk))


@pytest.fixture
def viewer(people: dict[str, User]) -> User:
    return people["viewer"]


def test_a_role_without_a_limit_changes_nothing(viewer: User):
    assert namespaces_of(viewer) is None
    viewer.groups.add(limited_group("build", "build"))
    assert namespaces_of(viewer) == ("build",)


def test_the_limits_of_several_groups_are_united(viewer: User):
    viewer.groups.add(limited_group("build", "build", "shared"), limited_group("ops", "ops", "shared"))
    assert sorted(namespaces_of(viewer) or ()) == ["build", "ops", "shared"]


def test_a_limit_of_ones_own_counts_instead(viewer: User):
    viewer.groups.add(limited_group("build", "build"))
    models.UserAccess.objects.create(user=viewer, namespaces=["ops"])
    assert namespaces_of(viewer) == ("ops",)


@pytest.mark.one_store
def test_stores_and_namespaces_are_limited_each_by_itself(viewer: User):
    viewer.groups.add(limited_group("crimson", stores=["crimson"]), limited_group("build", "build"))
    assert namespaces_of(viewer) == ("build",)
    assert rights.stores_of(User.objects.get(pk=viewer.pk)) == ("crimson",)


def test_superusers_are_not_limited(viewer: User):
    viewer.groups.add(limited_group("build", "build"))
    User.objects.filter(pk=viewer.pk).update(is_superuser=True)
    assert namespaces_of(viewer) is None


def test_pages_show_what_the_group_may_see(viewer: User):
    make_agent("own", namespace="build")
    make_agent("other", namespace="ops")
    viewer.groups.add(limited_group("build", "build"))
    client = signed_in(viewer)
    assert client.get("/agents/own/").status_code == 200
    assert client.get("/agents/other/").status_code == 404
    assert client.get("/growth/").status_code == 403


def test_an_administrator_who_is_limited_by_a_group_changes_no_group(people: dict[str, User]):
    administrator, group = people["administrator"], limited_group("build", "build")
    administrator.groups.add(group)
    client = signed_in(administrator)
    for address in (f"/admin/auth/group/{group.pk}/change/", f"/admin/auth/user/{administrator.pk}/change/"):
        assert client.get(address).status_code == 403, address


def group_fields(group: Group, **fields: str) -> dict[str, Any]:
    access = models.GroupAccess.objects.filter(group=group).first()
    return {
        "name": group.name, "access-TOTAL_FORMS": 1, "access-INITIAL_FORMS": int(access is not None),
        "access-MIN_NUM_FORMS": 0, "access-MAX_NUM_FORMS": 1, "access-0-id": access.pk if access else "",
        "access-0-group": group.pk, **{f"access-0-{name}": value for name, value in fields.items()},
    }  # fmt: skip


def test_an_administrator_limits_a_group_and_lifts_the_limit(people: dict[str, User], viewer: User):
    group, boss = Group.objects.create(name="team"), signed_in(people["administrator"])
    viewer.groups.add(group)
    address = f"/admin/auth/group/{group.pk}/change/"
    assert boss.post(address, group_fields(group, is_limited="on", names="ops\nbuild")).status_code == 302
    assert namespaces_of(viewer) == ("build", "ops")
    assert "build, ops" in boss.get("/admin/auth/user/").content.decode()
    assert "Name at least one namespace" in boss.post(address, group_fields(group, is_limited="on")).content.decode()
    assert boss.post(address, group_fields(group)).status_code == 302
    assert namespaces_of(viewer) is None


def test_the_list_of_users_reads_the_limits_of_all_at_once(people: dict[str, User]):
    boss = signed_in(people["administrator"])
    boss.get("/admin/auth/user/")
    with CaptureQueriesContext(connections["default"]) as first:
        boss.get("/admin/auth/user/")
    for number in range(5):
        user = User.objects.create(username=f"user-{number}")
        user.groups.add(limited_group(f"team-{number}", f"team-{number}"))
    with CaptureQueriesContext(connections["default"]) as again:
        boss.get("/admin/auth/user/")
    assert len(again) == len(first)
