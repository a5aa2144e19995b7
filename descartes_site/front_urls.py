"""Where several stores are served: what belongs to none of them. Each store has all of urls.py below it."""

from django.urls import include, path

from descartes_site.urls import SIGNING_IN
from statestore.urls import OF_NO_STORE
from statestore.views import stores

urlpatterns = [
    path("", stores.store_list, name="overview"),
    path("add-store/", stores.add_store, name="add-store"),
    path("remove-store/<str:name>/", stores.remove_store, name="remove-store"),
    path("find/", stores.find, name="find"),
    path("events/", stores.event_search, name="events"),
    path("changes/", stores.change_list, name="changes"),
    path("api/v1/", include("statestore.api.front")),
    *OF_NO_STORE,
    *SIGNING_IN,
]
handler400 = "statestore.views.errors.bad_request"
handler403 = "statestore.views.errors.not_allowed"
handler404 = "statestore.views.errors.not_found"
handler500 = "statestore.views.errors.server_error"
