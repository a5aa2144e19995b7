"""Saved searches: queries of the search page, kept by users under a name."""

from django.db.models import QuerySet

from statestore import models, search
from statestore.access import etags
from statestore.db.routers import chosen_name
from statestore.errors import NotFound, ValidationError
from statestore.events import limits
from statestore.text.natural_order import natural


def of_user(user_pk: int) -> QuerySet[models.SavedSearch]:
    """Return a user's saved searches of the store."""
    return models.SavedSearch.objects.filter(user_id=user_pk, store=chosen_name())


def by_name(user_pk: int) -> list[models.SavedSearch]:
    """Return a user's saved searches in the order of their names; there are few."""
    return sorted(of_user(user_pk), key=lambda view: natural(view.name))


def find(user_pk: int, view_id: int) -> models.SavedSearch:
    """Return a user's own saved search. Raises NotFound, also for another user's."""
    view = of_user(user_pk).filter(pk=view_id).first()
    if view is None:
        raise NotFound("Saved view not found.")
    return view


def save(user_pk: int, name: str, text: str) -> tuple[models.SavedSearch, bool]:
    """Save a query under a name, replacing one of the same name; return it, and whether it is new.

    Raises QueryError for a text that is no query.
    """
    name, text = name.strip(), text.strip()
    if not 1 <= len(name) <= limits.NAME_CHARACTERS:
        raise ValidationError(f"A view needs a name of 1 to {limits.NAME_CHARACTERS} characters. Nothing was saved.")
    search.parse(text)
    own = of_user(user_pk)
    if not own.filter(name=name).exists() and own.count() >= limits.SAVED_SEARCHES:
        raise ValidationError(f"The view was not saved: there are {limits.SAVED_SEARCHES} already. Delete one first.")
    return own.update_or_create(user_id=user_pk, store=chosen_name(), name=name, defaults={"query": text})


def delete(user_pk: int, view_id: int, *, if_match: str | None = None) -> models.SavedSearch:
    """Delete a user's own saved search, and return what it was."""
    view = find(user_pk, view_id)
    etags.expect(view, if_match)
    view.delete()
    return view
