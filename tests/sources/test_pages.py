"""The page of sources, and where a mirror is named."""

import pytest
from django.test import Client

from tests.sources.conftest import Opener

pytestmark = pytest.mark.django_db


def test_a_source_is_listed_with_what_it_holds_and_how_far_it_was_read(viewer: Client, opened: Opener):
    opened("langgraph/small.sqlite")
    page = viewer.get("/sources/").content.decode()
    assert "LangGraph checkpoints" in page
    assert "20 checkpoints" in " ".join(page.split())
    assert "/agents/?namespace=small" in page


def test_without_sources_the_page_says_how_to_open_one(viewer: Client):
    assert "manage.py open FILE" in viewer.get("/sources/").content.decode()


def test_what_a_source_cannot_give_is_said(viewer: Client, opened: Opener):
    source = opened("langgraph/small.sqlite")
    source.problem = "small.sqlite cannot be read: <gone>."
    source.save()
    assert "small.sqlite cannot be read: &lt;gone&gt;." in viewer.get("/sources/").content.decode()


def test_a_mirrored_agent_names_its_framework(viewer: Client, opened: Opener):
    opened("langgraph/small.sqlite")
    page = viewer.get("/agents/~c21hbGwvdGhyZWFkLTE/").content.decode()
    assert "mirrors LangGraph checkpoints" in page
    assert "change-status" not in page
