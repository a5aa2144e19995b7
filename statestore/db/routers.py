"""Which database a model lives in: the orchestrator's store, or our own."""

from django.conf import settings
from django.db.models import Model

# The models of this app that are ours alone and live beside the users.
OWN_MODELS: frozenset[str] = frozenset({"apitoken", "browsersession", "chainhead", "savedsearch", "useraccess"})


def store_alias() -> str:
    """Return the alias of the store; `default` if one PostgreSQL database holds both."""
    return str(settings.STORE_ALIAS)


def may_be_shared(alias: str) -> bool:
    """Return whether another program may write to a database at the same time: an orchestrator, to its own store."""
    return alias != "default" and not settings.STORE_IS_EMBEDDED


class StoreRouter:
    """Sends the store's models to the store and everything else to `default`; nothing joins across."""

    def db_for_read(self, model: Model | type[Model], **hints: object) -> str:
        return store_alias() if self._in_store(model._meta.app_label, model._meta.model_name) else "default"

    db_for_write = db_for_read

    def allow_relation(self, obj1: Model, obj2: Model, **hints: object) -> bool:
        return self.db_for_read(obj1) == self.db_for_read(obj2)

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: object) -> bool:
        if "place" in hints:
            return db == (store_alias() if hints["place"] == "store" else "default")
        return db == (store_alias() if self._in_store(app_label, model_name) else "default")

    def _in_store(self, app_label: str, model_name: str | None) -> bool:
        return app_label == "statestore" and model_name not in OWN_MODELS
