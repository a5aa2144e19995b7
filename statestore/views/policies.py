"""Retention policies: made, simulated, switched on after a look at what they would delete, deleted."""

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.urls.converters import UUIDConverter
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from statestore import retention
from statestore.access.scope import Scope
from statestore.forms import LimitsForm, PolicyForm, SwitchForm
from statestore.models import row_hash
from statestore.views.access import actor, require, require_viewer, scope
from statestore.views.formatting import line
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.sign_in import confirmed

# A page waits no longer for a simulation; what it looked at until then is shown.
_SECONDS: Final = 2.0
_NAMED_AGENTS: Final = 20


class PolicyIdConverter(UUIDConverter):
    """The id of a policy as the text that it is; no other word of an address can be one."""

    def to_python(self, value: str) -> Any:
        """Return the id."""
        return value


def _whole_store(request: HttpRequest) -> Scope:
    seen = scope(request)
    seen.require_whole_store("Retention")
    return seen


@require_http_methods(["GET", "HEAD", "POST"])
@require("manage_retention")
@json_twin("list_policies")
def new_policy(request: HttpRequest) -> HttpResponse:
    """GET: the form. POST: make a policy, which is off."""
    seen = _whole_store(request)
    namespaces = [(name, line(name, 60)) for name in seen.namespaces_in_use()]
    if request.method == "POST":
        form = PolicyForm(request.POST, namespaces=namespaces)
        table, of = form.checked["table"], form.of_namespace()
        policy = retention.create(seen.using, table, of, form.limits(), by=actor(request))
        messages.success(request, "The policy is made, and off. See what it would delete before you switch it on.")
        return redirect(policy)
    return render_page(
        request, "upkeep/new_policy.html", {"place": "upkeep", "form": PolicyForm(namespaces=namespaces)}
    )


@require_safe
@require_viewer
@json_twin("simulate_policy")
def policy_detail(request: HttpRequest, policy_id: str) -> HttpResponse:
    """Show a policy and what it would delete now; a fragment has the figures alone."""
    seen = _whole_store(request)
    policy = retention.find(seen.using, policy_id)
    found = retention.simulate(policy, using=seen.using, seconds=_SECONDS)
    largest = [loss for loss in found.largest if loss.agent_id][:_NAMED_AGENTS]
    ids = [loss.agent_id for loss in largest]
    names = dict(seen.agents().filter(agent_id__in=ids).values_list("agent_id", "name"))
    context = {
        "place": "upkeep",
        "policy": policy,
        "simulation": found,
        "seconds": _SECONDS,
        "largest": [(loss, names.get(loss.agent_id) or loss.agent_id) for loss in largest],
        "span": found.largest[0] if found.largest and not largest else None,
    }
    return render_page(request, "upkeep/policy.html", context, fragment="upkeep/_figures.html")


@require_http_methods(["GET", "HEAD", "POST"])
@require("manage_retention")
@json_twin("get_policy")
def edit_policy(request: HttpRequest, policy_id: str) -> HttpResponse:
    """GET: the form. POST: change what a policy keeps, which switches it off."""
    using = _whole_store(request).using
    policy = retention.find(using, policy_id)
    if request.method == "POST":
        form = LimitsForm(request.POST)
        keeps, was_on = form.limits().columns(), policy.is_on
        policy = retention.change(using, policy_id, keeps, by=actor(request), if_match=form.checked["etag"] or None)
        after = "It was switched off: see what it would delete now, then switch it on." if was_on else "It is off."
        messages.success(request, f"The policy is changed. {after}")
        return redirect(policy)
    form = LimitsForm(initial={**LimitsForm.initial_of(policy), "etag": row_hash(policy)})
    return render_page(request, "upkeep/edit_policy.html", {"place": "upkeep", "policy": policy, "form": form})


@require_POST
@require("manage_retention")
@confirmed
def switch_policy_on(request: HttpRequest, policy_id: str) -> HttpResponse:
    """Switch a policy on."""
    would_delete = SwitchForm(request.POST).checked["would_delete"]
    using = _whole_store(request).using
    policy = retention.switch(using, policy_id, on=True, by=actor(request), would_delete=would_delete)
    messages.success(request, "The policy is on. Housekeeping carries it out each hour, the first time within one.")
    return redirect(policy)


@require_POST
@require("manage_retention")
def switch_policy_off(request: HttpRequest, policy_id: str) -> HttpResponse:
    """Switch a policy off."""
    policy = retention.switch(_whole_store(request).using, policy_id, on=False, by=actor(request))
    messages.success(request, "The policy is off. What it deleted stays deleted.")
    return redirect(policy)


@require_POST
@require("manage_retention")
def delete_policy(request: HttpRequest, policy_id: str) -> HttpResponse:
    """Delete a policy."""
    retention.delete(_whole_store(request).using, policy_id, by=actor(request))
    messages.success(request, "The policy is deleted. What it deleted stays deleted.")
    return redirect(f"{reverse('upkeep')}#policies")
