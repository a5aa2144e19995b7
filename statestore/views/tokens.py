"""API tokens: created, shown once, revoked. Administrators see every user's."""

from functools import partial

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from statestore import models
from statestore.access import rights, tokens
from statestore.db.routers import chosen_name
from statestore.errors import Forbidden, ValidationError
from statestore.forms import TokenForm
from statestore.models.user_access import words_of
from statestore.views.access import actor
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.sign_in import confirmed


@require_http_methods(["GET", "HEAD", "POST"])
@confirmed
@sensitive_variables("secret")
@json_twin("list_tokens")
def token_list(request: HttpRequest) -> HttpResponse:
    """Show the tokens, and create one; its secret is shown in that response only."""
    new_form = partial(TokenForm, stores=rights.visible_stores(request.user), store=chosen_name())
    form, made, secret = new_form(request.POST if request.method == "POST" else None), None, ""
    if request.method == "POST" and form.is_valid():
        try:
            made, secret = tokens.create(request.user, **form.wanted(), by=actor(request))
            form = new_form()
        except (Forbidden, ValidationError) as error:
            field = getattr(error, "field", "namespaces")
            form.add_error(field if field in form.fields else "name", str(error))
    limited_to = rights.namespaces_of(request.user)
    context = {
        "place": "tokens",
        "form": form,
        "made": made,
        "secret": secret,
        "tokens": [
            (token, words_of(tokens.shown_namespaces(token, to=request.user)))
            for token in tokens.visible_to(request.user)
        ],
        "sees_all": tokens.sees_all(request.user),
        "limited_to": limited_to,
        "limited_words": words_of(limited_to),
        "now": models.now(),
    }
    return render_page(request, "tokens/list.html", context, status=422 if form.errors else 200)


@require_POST
def revoke_token(request: HttpRequest, public_id: str) -> HttpResponse:
    """Revoke a token: your own, or as an administrator any user's."""
    revoked = tokens.revoke(public_id, by=request.user)
    messages.success(request, f"{revoked} is revoked.")
    return redirect("tokens")
