"""Signing in and out, changing the password, and what the password is asked for again."""

from collections.abc import Callable
from functools import wraps
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import views as auth
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import get_script_prefix, reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from statestore.access import browser_sessions, reauthentication, remote_user, sign_ins
from statestore.forms.login import BoundedLoginForm, BoundedPasswordChangeForm, ConfirmForm
from statestore.views import kept_forms
from statestore.views.own_addresses import is_own

View = Callable[..., HttpResponseBase]


class SignIn(auth.LoginView):
    """The login page. It redirects users who are signed in already, and carries a form that was sent too late."""

    authentication_form = BoundedLoginForm
    redirect_authenticated_user = True

    def get_redirect_url(self, *arguments: HttpRequest | None, **keywords: HttpRequest | None) -> str:
        """Return where to go on to, if that is safe and no other login page."""
        address = super().get_redirect_url(*arguments, **keywords)
        is_login = urlsplit(address).path in {reverse("login"), f"{get_script_prefix()}admin/login/"}
        return address if is_own(self.request, address) and not is_login else ""

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in, and go on to the page of a form that was sent without a session."""
        response = super().form_valid(form)
        kept = kept_forms.opened(self.request.POST.get("kept", ""), int(self.request.user.pk or 0))
        if kept is None:
            return response
        kept_forms.put(self.request, kept)
        return HttpResponseRedirect(kept.page)

    def get_context_data(self, **context: object) -> dict[str, object]:
        """Return the form, and what is carried."""
        return super().get_context_data(kept=self.request.POST.get("kept", "")[: kept_forms.MOST_SEALED], **context)


class SignOut(auth.LogoutView):
    """Signing out."""

    def post(self, request: HttpRequest, *arguments: object, **keywords: object) -> HttpResponse:
        """Sign out here. The proxy of a single sign-on has its own sign-out, without which it signs in again."""
        is_remote = request.user.is_authenticated and remote_user.is_remote(request)
        response = super().post(request, *arguments, **keywords)
        if is_remote:
            response = render(request, "statestore/people/signed_out.html", {"elsewhere": settings.REMOTE_SIGN_OUT_URL})
        return response


class ChangePassword(auth.PasswordChangeView):
    """A change of the password, which ends all other sessions."""

    form_class = BoundedPasswordChangeForm

    def get_form_kwargs(self) -> dict[str, object]:
        """Let the form count wrong passwords as the login does."""
        return {**super().get_form_kwargs(), "request": self.request}

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        """Change the password."""
        response = super().form_valid(form)
        browser_sessions.end_others(self.request.user, self.request.session.session_key)
        reauthentication.note_proof(self.request)
        return response


@require_http_methods(["GET", "HEAD", "POST"])
def change_password_here(request: HttpRequest) -> HttpResponse:
    """Lead from the admin's page for it to ours."""
    return redirect("password_change")


def locked(request: HttpRequest, response: object = None, credentials: object = None) -> HttpResponse:
    """Return the page for an attempt that is refused, with the time to wait."""
    seconds = max(1, sign_ins.wait_of(request))
    page = render(request, "statestore/people/locked.html", {"minutes": -(-seconds // 60)}, status=429)
    page["Retry-After"] = str(seconds)
    return page


def ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    """Answer a request that needs a session and has none: by the login page, which leads back."""
    target = f"{reverse('login')}?{urlencode({'next': kept_forms.page_of(request)}, safe='/')}"
    if "HX-Request" in request.headers:
        # A redirect would put the login page where the fragment goes.
        response = HttpResponse(status=401)
        response["HX-Redirect"] = target
        return response
    if request.method != "POST" or sign_ins.owner_of(request) is None:
        return redirect(target)
    sealed = kept_forms.seal(request)
    context = {"form": BoundedLoginForm(request), "next": kept_forms.page_of(request), "kept": sealed, "is_late": True}
    return render(request, str(SignIn.template_name), context, status=401)


def confirmed(view: View) -> View:
    """Ask for the password before a form is acted on, unless it was given lately. The form is carried meanwhile."""

    @wraps(view)
    @sensitive_post_parameters(ConfirmForm.FIELD)
    def check(request: HttpRequest, *arguments: object, **keywords: object) -> HttpResponseBase:
        if request.method != "POST" or reauthentication.is_fresh(request):
            return view(request, *arguments, **keywords)
        form = ConfirmForm(request)
        if form.is_valid():
            reauthentication.note_proof(request)
            return view(request, *arguments, **keywords)
        return _confirmation(request, form)

    return check


def _confirmation(request: HttpRequest, form: Form) -> HttpResponse:
    carried = [
        (name, value)
        for name, values in request.POST.lists()
        if name not in {ConfirmForm.FIELD, "csrfmiddlewaretoken"}
        for value in values
    ]
    context = {"form": form, "carried": carried, "back": kept_forms.page_of(request)}
    return render(request, "statestore/people/confirm.html", context, status=422 if form.errors else 403)


@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """Ask for the password, for callers of the JSON API that a login authenticates."""
    back = request.POST.get("next") or request.GET.get("next") or reverse("overview")
    if not is_own(request, back):
        back = reverse("overview")
    form = ConfirmForm(request)
    if reauthentication.is_fresh(request):
        return redirect(back)
    if form.is_valid():
        reauthentication.note_proof(request)
        return redirect(back)
    context = {"form": form, "carried": [("next", back)], "back": back}
    return render(request, "statestore/people/confirm.html", context, status=422 if form.errors else 200)
