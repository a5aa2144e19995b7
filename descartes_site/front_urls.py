"""Where several stores are served: what belongs to none of them. Each store has all of urls.py below it."""

from django.contrib.auth import views as auth
from django.urls import path

from statestore.views import browsers, context, health, sign_in, stores

urlpatterns = [
    path("", stores.store_list, name="overview"),
    path("find/", stores.find, name="find"),
    path("events/", stores.event_search, name="events"),
    path("changes/", stores.change_list, name="changes"),
    path("api/v1/stores", stores.stores_as_json, name="stores-json"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics_page, name="metrics"),
    path("theme/", context.choose_theme, name="theme"),
    path("sign-ins/", browsers.failed_sign_ins, name="sign-ins"),
    path("browsers/", browsers.browser_list, name="browsers"),
    path("end-other-browsers/", browsers.end_other_browsers, name="end-other-browsers"),
    path("browsers/<slug:public_id>/end/", browsers.end_browser, name="end-browser"),
    path("login/", sign_in.SignIn.as_view(), name="login"),
    path("logout/", sign_in.SignOut.as_view(), name="logout"),
    path("confirm/", sign_in.confirm, name="confirm"),
    path("password/", sign_in.ChangePassword.as_view(), name="password_change"),
    path("password/done/", auth.PasswordChangeDoneView.as_view(), name="password_change_done"),
]
handler400 = "statestore.views.errors.bad_request"
handler403 = "statestore.views.errors.not_allowed"
handler404 = "statestore.views.errors.not_found"
handler500 = "statestore.views.errors.server_error"
