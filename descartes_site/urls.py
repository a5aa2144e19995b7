"""The site map: the dashboard, the admin, signing in and out."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from statestore.forms.login import BoundedLoginForm, BoundedPasswordChangeForm

urlpatterns = [
    # First, since programs call it most: each address is looked for in this order.
    path("api/v1/", include("statestore.api.site")),
    path("", include("statestore.urls")),
    path("admin/", admin.site.urls),
    path("login/", auth.LoginView.as_view(authentication_form=BoundedLoginForm), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path(
        "password/",
        auth.PasswordChangeView.as_view(form_class=BoundedPasswordChangeForm),
        name="password_change",
    ),
    path("password/done/", auth.PasswordChangeDoneView.as_view(), name="password_change_done"),
]
handler400 = "statestore.views.errors.bad_request"
handler500 = "statestore.views.errors.server_error"
