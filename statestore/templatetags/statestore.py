"""Components small enough to be one function: badge, id, time, size; and the filters that make any text visible."""

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape, unescape
from typing import Any, Final

from django import template
from django.conf import settings
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.template import Context
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from statestore import history, restore, retention, search
from statestore.db.fields import text_bytes
from statestore.db.ids import RowId, to_address, url_of
from statestore.db.routers import store_alias
from statestore.errors import ValidationError
from statestore.forms import ReasonForm, SnapshotForm, StatusForm
from statestore.history import MomentName, moments
from statestore.jsondiff.textdiff import Op, Segment
from statestore.models import AgentState, Hold, RetentionPolicy, SourceThread, mirrored_thread
from statestore.models.events import is_error_type
from statestore.views import agent_pages, curl
from statestore.views.conversation import Shown
from statestore.views.formatting import ago, browser_name, line, middle, size, utc, visible, with_code
from statestore.views.json_links import json_url

register = template.Library()
for _filter in (visible, with_code, line, middle, size, browser_name):
    register.filter(_filter)
register.filter("is_error", is_error_type)

STATUS_SIGNS: Final = {
    "idle": "○", "initializing": "◌", "running": "●", "thinking": "◉", "paused": "◐", "completed": "✓", "failed": "✕",
    "terminated": "■",
}  # fmt: skip
# Longer texts are not commits: they are shown without a link.
LONGEST_COMMIT: Final = 200
_COMMIT: Final = re.compile("[0-9a-fA-F]{4,64}")


@register.filter
def marked(value: object, words: Iterable[str]) -> SafeString:
    """Return a text with the words in it that were searched for marked."""
    if not words:
        return SafeString(escape(str(value)))
    parts = search.marked(str(value), words)
    return SafeString("".join(f"<mark>{escape(text)}</mark>" if is_word else escape(text) for text, is_word in parts))


@register.simple_tag
def brief(value: object, length: int, words: Iterable[str] = ()) -> SafeString:
    """Return a text in one line of so many characters, its searched words marked; a title where it is shortened."""
    whole = line(value, 300)
    shown = middle(value, length) if whole else "(empty)"
    title = "" if shown == whole or not whole else f' title="{escape(whole)}"'
    return SafeString(f"<span{title}>{marked(shown, words)}</span>")


_ELEMENTS: Final = {Op.INSERT: "ins", Op.DELETE: "del", Op.EQUAL: "span"}


@register.filter
def word_diff(segments: Iterable[Segment]) -> SafeString:
    """Return the words of two texts as one, marked where they differ."""
    return SafeString("".join(f"<{_ELEMENTS[op]}>{escape(visible(text))}</{_ELEMENTS[op]}>" for op, text in segments))


@register.filter
def text_of(said: Shown) -> SafeString:
    """Return a part of a message: its prose, code or value, folded under one line where it is long.

    Not a template: a page has hundreds of these, and an inclusion takes ten times as long.
    """
    blocks = "".join(
        f'<pre class="code">{escape(visible(block.text))}</pre>'
        if block.is_code
        else f'<p class="said">{escape(visible(block.text))}</p>'
        for block in said.blocks
    )
    if not said.gist:
        return SafeString(f'<div class="blocks" data-kind="{said.kind}">{blocks}</div>')
    tree = f'<div class="tree">{said.tree}</div>' if said.tree else ""
    rest = f'<p class="quiet small">{said.rest}. The tree and the raw state have all of it.</p>' if said.rest else ""
    return SafeString(
        f'<details class="folded" data-kind="{said.kind}"><summary>{escape(said.gist)}</summary>'
        f"{tree}{blocks}{rest}</details>"
    )


# Where a tree has names and values, not its own buttons and counts.
_IN_TREE: Final = re.compile('(<span class="(?:name|literal|gist)"[^>]*>|</summary>)([^<]+)')


@register.filter
def marked_tree(tree: str, words: Iterable[str]) -> SafeString:
    """Return the HTML of a tree with the words in it that were searched for marked."""
    if not words:
        return SafeString(tree)
    return SafeString(_IN_TREE.sub(lambda match: match[1] + marked(unescape(match[2]), words), tree))


@register.filter
def thousands(number: int) -> str:
    """Return a whole number with separators: 12,408."""
    return f"{number:,}"


@register.filter
def address(value: RowId) -> str:
    """Return an id as URLs and form values name it."""
    return to_address(value)


@register.filter
def page_of(row_id: RowId | int, view: str) -> str:
    """Return the URL of a row's page: `{{ agent_id|page_of:"agent" }}`. In a list it is quicker than `{% url %}`."""
    # An address has no character that HTML would escape.
    return SafeString(url_of(view, row_id))


@register.filter
def linked(sentence: history.Sentence) -> SafeString:
    """Return what an audit entry says without who did it, with links to the rows that it names, and to the action."""
    verb = escape(sentence.verb)
    if sentence.page:
        verb = f'<a class="verb" href="{url_of(*sentence.page)}">{verb}</a>'
    target = "" if sentence.target is None else f" {_link(sentence.target)}"
    return SafeString(f"{verb}{target}{''.join(map(_link, sentence.rest))}")


def _link(part: history.Reference | str) -> str:
    if isinstance(part, str):
        return escape(line(part, 300))
    text = escape(line(part.text, 80))
    return f'<a href="{url_of(part.noun, part.row_id)}">{text}</a>' if part.noun else f"<b>{text}</b>"


@register.filter
def as_json(value: object) -> str:
    """Return a text as an ASCII JSON string, in which it survives any attribute."""
    return json.dumps(str(value))


@register.simple_tag
def status(word: object) -> SafeString:
    """Return the badge of a status: sign, word and colour."""
    known = str(word).lower() if str(word).lower() in STATUS_SIGNS else "unknown"
    sign = STATUS_SIGNS.get(known, "?")
    return format_html(
        '<span class="badge" data-status="{}"><span aria-hidden="true">{}</span><span class="word">{}</span></span>',
        known,
        sign,
        line(word, 40) or "(empty)",
    )


TASK_STATUSES: Final = {
    "Todo": ("○", "idle", "to do"), "InProgress": ("●", "running", "in progress"), "Done": ("✓", "completed", "done"),
    "Blocked": ("✕", "failed", "blocked"),
}  # fmt: skip


@register.simple_tag
def task_status(word: object) -> SafeString:
    """Return the badge of a task's status, in the looks of agents' statuses."""
    sign, look, shown = TASK_STATUSES.get(str(word), ("?", "unknown", line(word, 40) or "(empty)"))
    return format_html(
        '<span class="badge" data-status="{}"><span aria-hidden="true">{}</span><span class="word">{}</span></span>',
        look,
        sign,
        shown,
    )


SESSION_STATUSES: Final = {"active": ("●", "running"), "completed": ("✓", "completed"), "failed": ("✕", "failed")}


@register.simple_tag
def session_status(word: object) -> SafeString:
    """Return the badge of a session's status, in the looks of agents' statuses; others have no sign."""
    sign, look = SESSION_STATUSES.get(str(word), ("", "idle"))
    return format_html(
        '<span class="badge" data-status="{}"><span aria-hidden="true">{}</span><span class="word">{}</span></span>',
        look,
        sign,
        line(word, 40) or "(empty)",
    )


@register.simple_tag
def chip(value: object, length: int = 28) -> SafeString:
    """Return an id in monospace, shortened in the middle, with a button that copies all of it."""
    text = str(value)
    return format_html(
        '<span class="chip"><span title="{}">{}</span><button type="button" class="copy" data-copy="{}"'
        ' aria-label="Copy {}"></button></span>',
        line(text, 300),
        middle(text, length) or "(empty)",
        json.dumps(text[:100_000]),
        middle(text, 40),
    )


@register.simple_tag
def when(seconds: object, relative: bool = True) -> SafeString | str:
    """Return a time element: relative, kept so by a script, with the absolute UTC time behind it."""
    if seconds is None:
        return "never"
    moment = utc(seconds)
    if moment is None:
        return format_html('<span title="not a time">{}</span>', line(getattr(seconds, "raw", seconds), 24))
    absolute = moment.strftime("%Y-%m-%d %H:%M:%S")
    # Digits, signs and letters of ours: there is nothing to escape, and pages have hundreds of times.
    shown = ago(int(moment.timestamp()), int(time.time())) if relative else absolute
    return SafeString(
        f'<time datetime="{moment.isoformat()}" title="{absolute} UTC"{" data-relative" if relative else ""}>'
        f"{shown}</time>"
    )


@register.simple_tag
def when_iso(text: str) -> SafeString | str:
    """Return a time element for a time in ISO 8601, as manifests of backups have it."""
    try:
        return when(int(datetime.fromisoformat(text).timestamp()))
    except (ValueError, OverflowError):
        return line(text, 40)


@register.simple_tag
def clock(seconds: object) -> SafeString | str:
    """Return the time of day, UTC, with the whole time behind it: the day stands above, once."""
    moment = utc(seconds)
    if moment is None:
        return when(seconds)
    absolute = f"{moment:%Y-%m-%d %H:%M:%S}"
    return SafeString(f'<time datetime="{moment.isoformat()}" title="{absolute} UTC">{moment:%H:%M:%S}</time>')


@register.simple_tag
def commit(value: object) -> SafeString | str:
    """Return a git commit, shortened, with a link to all that happened at it."""
    text = str(value or "")
    shown = f"<code>{escape(middle(text, 12))}</code>" if text else ""
    if not text or len(text) > LONGEST_COMMIT:
        return SafeString(shown)
    return SafeString(f'<a href="{url_of("commit", text)}">{shown}</a>')


@register.simple_tag
def commit_elsewhere(value: object) -> SafeString | str:
    """Return the link to a git commit that COMMIT_URL says how to make, or nothing."""
    text = str(value or "")
    if not settings.COMMIT_URL or not _COMMIT.fullmatch(text):
        return ""
    return format_html('<a class="button" href="{}">Open the commit</a>', settings.COMMIT_URL.replace("{commit}", text))


@register.filter
def counts(types: Sequence[tuple[object, int]], most: int) -> str:
    """Return the first of some counted values in one line: `3 message, 2 tool_call`."""
    return ", ".join(f"{number} {line(value, 30) or '(empty)'}" for value, number in types[:most])


@register.filter
def actors(counted: Sequence[tuple[object, object, int]], most: int) -> SafeString:
    """Return the first of some counted actors in one line, and how many more there are."""
    shown = ", ".join(escape(middle(actor, 20) or "(empty)") for _, actor, _ in counted[:most])
    more = f' <span class="quiet">and {len(counted) - most} more</span>' if len(counted) > most else ""
    return SafeString(shown + more)


@register.filter
def duration(seconds: float | None) -> str:
    """Return a number of seconds in its two largest units."""
    if seconds is None:
        return ""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit_seconds, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= unit_seconds or (unit == "s" and not parts):
            parts.append(f"{left // unit_seconds} {unit}")
            left %= unit_seconds
    return " ".join(parts[:2])


@register.filter
def limits_of(policy: RetentionPolicy) -> str:
    """Return what a policy deletes, in words."""
    limits = (
        (policy.keep_seconds, f"older than {duration(policy.keep_seconds)}"),
        (policy.keep_count, f"beyond an agent's newest {policy.keep_count or 0:,}"),
        (policy.keep_bytes, f"beyond {size(policy.keep_bytes)} of an agent's newest"),
        (policy.is_tiered, "more than tiers keep"),
    )
    return ", or ".join(words for is_set, words in limits if is_set)


@register.filter
def age(seconds: object) -> str:
    """Return how long ago a time was, in its two largest units."""
    moment = utc(seconds)
    return duration((datetime.now(UTC) - moment).total_seconds()) if moment else ""


@register.simple_tag
def iso(seconds: object) -> str:
    """Return a time as a field of a form shows it and takes it back."""
    moment = utc(seconds)
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else ""


@register.simple_tag
def growth(before: int | None, after: int | None) -> SafeString | str:
    """Return by how much a state grew or shrank, with both sizes behind it."""
    if before is None or after is None:
        return ""
    sign = "+" if after > before else "−" if after < before else "±"
    return SafeString(f'<span title="{size(before)} → {size(after)}">{sign}{size(abs(after - before))}</span>')


@register.simple_tag(takes_context=True)
def moment_link(context: Context, text: object, is_link: bool = True) -> SafeString | str:
    """Return a moment in words, with a link to the snapshot or the transition that it names, or without.

    It is called what `moment_names` of the page says; otherwise, by its id.
    """
    try:
        moment = moments.parse(str(text))
    except ValidationError:
        return line(text, 60)
    match moment:
        case moments.AtSnapshot(snapshot_id):
            before, noun, row_id = "", "snapshot", snapshot_id
        case moments.AtTransition(transition_id, side):
            before, noun, row_id = f"{side} ", "transition", transition_id
        case moments.AtTime(seconds):
            return when(seconds, False)
        case _:
            return "now"
    names: Mapping[str, MomentName] = context.get("moment_names") or {}
    name = names.get(str(text))
    if name is None:
        shown: str = middle(row_id, 16) if isinstance(row_id, str) else "(long id)"
    else:
        shown = format_html("“{}”", line(name.text, 60)) if name.text else format_html("of {}", when(name.at, False))
    words = format_html("{} {}", noun, shown)
    linked = format_html('<a href="{}">{}</a>', url_of(noun, row_id), words) if is_link else words
    return format_html("{}{}", before, linked)


@register.simple_tag(takes_context=True)
def query(context: Context, **changes: object) -> str:
    """Return the page's query string with some parameters changed; an empty value takes one away."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        parameters.pop(name, None)
        if value not in (None, ""):
            parameters[name] = visible(value)
    return f"?{parameters.urlencode()}" if parameters else "?"


@register.simple_tag(takes_context=True)
def admin_form(context: Context, row: Model) -> str:
    """Return the address of a row's form in the admin, which leads back to this page."""
    address = reverse(f"admin:statestore_{row._meta.model_name}_change", args=[quote(to_address(row.pk))])
    return f"{address}?{urlencode({'next': context['request'].get_full_path()})}"


@register.simple_tag(takes_context=True)
def kept_query(context: Context, *dropped: str) -> SafeString:
    """Return the page's query string as hidden inputs of a form, without the parameters that the form has itself."""
    pairs = ((name, value) for name, values in context["request"].GET.lists() for value in values)
    return format_html_join(
        "", '<input type="hidden" name="{}" value="{}">', (pair for pair in pairs if pair[0] not in dropped)
    )


@register.simple_tag(takes_context=True)
def query_and(context: Context, name: str, value: object) -> str:
    """Return the page's query string with one more value of a parameter."""
    parameters = context["request"].GET.copy()
    # As it is: a path that was made visible would be another one.
    parameters.appendlist(name, str(value))
    return f"?{parameters.urlencode()}"


@register.simple_tag(takes_context=True)
def agent_tabs(context: Context, agent_id: str) -> list[agent_pages.AgentPage]:
    """Return the pages about an agent that the user may open."""
    return agent_pages.tabs(agent_id, context["request"].user)


@register.inclusion_tag("statestore/history/_origin.html")
def origin(found: object, agent_id: object, commit: object = "") -> dict[str, object]:
    """Return what made a change: its transition with time, reason and commit, or that it was not recorded."""
    return {"origin": found, "agent_id": agent_id, "git_commit": commit}


@dataclass(frozen=True, slots=True)
class AgentHead:
    """What the head of each page of an agent shows of its state, and the forms of what can be done to it.

    There are three forms on one page: without ids, none is there twice.
    """

    size: int
    hash: str
    last_moment: str
    snapshot_form: SnapshotForm
    status_form: StatusForm
    reason_form: ReasonForm
    hold: Hold | None
    mirrors: SourceThread | None


@register.simple_tag(takes_context=True)
def refusal_of(context: Context, agent_id: str) -> str:
    """Return why no moment of an agent can be put back, "" where it can. A page asks once, a list for all its rows."""
    known = context.get("refusals")
    if known is None:
        known = vars(context["request"]).setdefault("refusals", {})
        if agent_id not in known:
            known[agent_id] = restore.refusals([agent_id], store_alias()).get(agent_id, "")
    return str(known.get(agent_id, ""))


@register.simple_tag
def head_of(agent: AgentState) -> AgentHead:
    """Return the head of an agent's pages."""
    return AgentHead(
        len(text_bytes(agent.state_data)), agent.state_hash(), str(moments.AtTime(int(agent.updated_at))),
        SnapshotForm(auto_id=False), StatusForm(auto_id=False, initial={"status": agent.status}),
        ReasonForm(auto_id=False), retention.held(store_alias(), "agent", agent.agent_id),
        mirrored_thread(agent, store_alias()),
    )  # fmt: skip


@register.simple_tag(takes_context=True)
def in_store(context: Context) -> SafeString:
    """Return in which store a form acts, the name in the store's colour; nothing where there is one store."""
    name = context.get("store_name")
    if not (name and context.get("has_several_stores")):
        return SafeString("")
    html = '<span class="in-store">in the store <strong class="store-name" data-hue="{}">{}</strong></span>'
    return format_html(html, context["store_hue"], line(name, 40))


@register.simple_tag(takes_context=True)
def source_of(context: Context, agent_id: object, session_id: object = None) -> SafeString:
    """Return the source that a row comes from, by the agent or the session that it belongs to; nothing for our own."""
    found = context.get("mirrors")
    source = found.source_of(agent_id, session_id) if found else None
    # Most rows are our own, and a template without content takes as long as a row's cell.
    return SafeString("") if source is None else render_to_string("statestore/_parts/source.html", {"source": source})


@register.inclusion_tag("statestore/_parts/json_link.html", takes_context=True)
def json_link(context: Context) -> dict[str, object]:
    """Return where this page's data is as JSON, and the curl line for it; nothing for a page without data."""
    request = context.get("request")
    agents = [context.get(name) for name in ("agent", "left", "right")]
    in_trash = any(getattr(agent, "is_deleted", 0) for agent in agents)
    is_gone = any(getattr(agent, "is_gone", False) for agent in agents)
    url = json_url(request, in_trash=in_trash, is_gone=is_gone) if request is not None else ""
    if request is None or not url:
        return {"url": ""}
    return {"url": url, "line": curl.line(request.build_absolute_uri(url))}


@register.simple_tag(takes_context=True)
def curl_of(context: Context, name: str, secret: str) -> str:
    """Return the curl line of a call without parameters, with a token in it."""
    return curl.line(context["request"].build_absolute_uri(reverse(name)), secret=secret)


@register.simple_tag(takes_context=True)
def curl_of_call(context: Context, call: Any) -> str:
    """Return the curl line of a documented call: its example, with the ids of its path as shell variables."""
    url = context["request"].build_absolute_uri(curl.with_variables(call.path))
    return curl.line(url, method=call.method, query=call.query, body=call.body, file=call.file)


@register.filter
def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text."""
    return [paragraph for paragraph in text.split("\n\n") if paragraph.strip()]
