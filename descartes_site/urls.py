"""The site map: the dashboard, the admin, signing in and out."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from statestore.views import sign_in

SIGNING_IN = [
    path("login/", sign_in.SignIn.as_view(), name="login"),
    path("logout/", sign_in.SignOut.as_view(), name="logout"),
    path("confirm/", sign_in.confirm, name="confirm"),
    path("password/", sign_in.ChangePassword.as_view(), name="password_change"),
    path("password/done/", auth.PasswordChangeDoneView.as_view(), name="password_change_done"),
]
urlpatterns = [
    # First, since programs call it most: each address is looked for in this order.
    path("api/v1/", include("statestore.api.site")),
    path("", include("statestore.urls")),
    # The admin's own page for it counts no wrong passwords.
    path("admin/password_change/", sign_in.change_password_here, name="admin_password_change"),
    path("admin/", admin.site.urls),
    *SIGNING_IN,
]
handler400 = "statestore.views.errors.bad_request"
handler403 = "statestore.views.errors.not_allowed"
handler404 = "statestore.views.errors.not_found"
handler500 = "statestore.views.errors.server_error"
