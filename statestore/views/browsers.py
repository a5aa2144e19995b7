"""Where a user is signed in, and the sign-ins of all: pages about people, not about agents."""

from typing import Final

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from statestore.access import browser_sessions, remote_user, rights, sign_ins
from statestore.forms import PageForm
from statestore.views.access import scope
from statestore.views.formatting import browser_name
from statestore.views.htmx import render_page

_MOST_SHOWN: Final = 100


@require_safe
def browser_list(request: HttpRequest) -> HttpResponse:
    """Show where the user is signed in."""
    rows = [
        {
            "id": browser_sessions.public_id(row.pk),
            "name": browser_name(row.user_agent),
            "row": row,
            "is_this": row.pk == request.session.session_key,
        }
        for row in browser_sessions.sessions_of(request.user).defer("session_data")[:_MOST_SHOWN]
    ]
    context = {
        "rows": rows,
        "idle_hours": browser_sessions.idle_seconds() / 3600,
        "is_remote": remote_user.is_remote(request),
    }
    return render_page(request, "people/browsers.html", context)


@require_POST
def end_browser(request: HttpRequest, public_id: str) -> HttpResponse:
    """Sign out in one browser."""
    if browser_sessions.end(request.user, public_id):
        messages.success(request, "Signed out in that browser.")
    else:
        messages.info(request, "That browser is signed out already.")
    return redirect("browsers")


@require_POST
def end_other_browsers(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere but here."""
    ended = browser_sessions.end_others(request.user, request.session.session_key)
    messages.success(request, f"Signed out in {ended} other browser{'' if ended == 1 else 's'}.")
    return redirect("browsers")


@require_safe
@permission_required("auth.view_user", raise_exception=True)
def failed_sign_ins(request: HttpRequest) -> HttpResponse:
    """Show the sign-ins that failed, newest first."""
    scope(request).require_whole_store("The list of failed sign-ins")
    if not rights.is_unlimited(request.user):
        raise PermissionDenied  # It is about the users of all stores.
    username, address = request.GET.get("username", ""), request.GET.get("ip_address", "")
    rows = sign_ins.failures(username, address)
    context = {
        "place": "audit",
        "page": PageForm(request.GET).page(rows, ("-id",)),
        "wanted": username or address,
        "days": sign_ins.KEPT_DAYS,
    }
    return render_page(request, "people/sign_ins.html", context, fragment="people/_sign_in_rows.html")
