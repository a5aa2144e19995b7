"""Django's admin, which finds its pages when one is first asked for: commands ask for none, and start sooner."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.utils.module_loading import autodiscover_modules


class AdminSite(admin.AdminSite):
    """The site on which each app's admin module registers its models."""

    _has_looked = False

    @property
    def _registry(self) -> dict[Any, Any]:
        if not self._has_looked:
            self._has_looked = True
            autodiscover_modules("admin", register_to=self)
        return self._models

    @_registry.setter
    def _registry(self, models: dict[Any, Any]) -> None:
        self._models = models


class AdminConfig(SimpleAdminConfig):
    """Django's admin with that site."""

    default_site = "descartes_site.admin_site.AdminSite"
