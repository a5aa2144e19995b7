"""The records of a case as one HTML page that needs nothing else: no script, no link but to its own parts.

`format_html` escapes each text; what agents wrote is shown as text, with the characters that cannot be seen.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from descartes_site.locations import COMMAND
from statestore.cases.contents import SIGNS, Record
from statestore.jsondiff import parsing
from statestore.text.visible import visible

_CSS: Final = Path(__file__).with_name("case.css")
_NOTHING: Final = SafeString("")
# Section, its heading, the kinds of its records.
_SECTIONS: Final = (
    ("conversation", "Conversation", {"message"}),
    ("timeline", "Timeline", {"transition", "snapshot"}),
    ("events", "Events", {"session", "event"}),
    ("state", "State", {"state"}),
)  # fmt: skip


def html(records: Iterable[Record]) -> bytes:
    """Return the page, ending with a line break."""
    head, *rest, masked = records
    sections = [section for section in _sections(rest) if section[2]]
    title = f"{head['about'].capitalize()} {visible(head['name'])}"
    agent = next((record for record in rest if record["kind"] == "agent"), None)
    body = [
        format_html("<header><h1>{}</h1>{}</header>", title, _facts(head, agent)),
        _contents([(name, heading) for name, heading, _ in sections]),
        *(_section(name, heading, found) for name, heading, found in sections),
        _section("masked", "What was masked", [masked]),
        _FOOTER,
    ]
    return _document(title, SafeString("\n").join(body)).encode("utf-8", "replace")


def _document(title: str, body: str) -> str:
    """Return the whole document. Its policy holds even if a browser took some text for more than text."""
    top = format_html(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{}</title>\n',
        title,
    )
    return f"{top}<style>\n{_CSS.read_text()}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"


_FOOTER: Final = SafeString(
    "<footer><p>Secrets were masked by rules before this file was written. Equal secrets have the same number, so that"
    " a change of one can be seen. Rules can miss a secret: look before you send the file on.</p>"
    "<p>The last line of this file has the SHA-256 of all lines before it. <code>head -n -1 FILE | sha256sum</code> or"
    f" <code>{COMMAND} case --verify FILE</code> tells whether the file is as it was exported.</p></footer>"
)


def _facts(head: Record, agent: Record | None) -> SafeString:
    facts = [("exported", head["made_at"]), ("id", head["id"])]
    if agent is not None:
        names = ("status", "namespace", "version", "created_at", "updated_at")
        facts += [(name.removesuffix("_at"), agent[name]) for name in names if agent[name] not in ("", None)]
    shown = format_html_join(" ", "<span>{} {}</span>", ((name, visible(value)) for name, value in facts))
    return format_html('<p class="facts">{}</p>', shown)


def _sections(records: list[Record]) -> Iterator[tuple[str, str, list[Record]]]:
    """Yield each section with its records; a note belongs to the section that it stands in."""
    kinds = {kind: name for name, _, kinds in _SECTIONS for kind in kinds}
    found: dict[str, list[Record]] = {name: [] for name, _, _ in _SECTIONS}
    place = ""
    for at, record in enumerate(records):
        following = (kinds.get(one["kind"], "") for one in records[at:])
        place = kinds.get(record["kind"], "") or place or next(filter(None, following), "")
        if record["kind"] != "agent" and place:
            found[place].append(record)
    for name, heading, _ in _SECTIONS:
        yield name, heading, found[name]


def _contents(sections: list[tuple[str, str]]) -> SafeString:
    links = format_html_join(" · ", '<a href="#{}">{}</a>', [*sections, ("masked", "What was masked")])
    return format_html("<nav><p>{}</p></nav>", links)


def _section(name: str, heading: str, records: list[Record]) -> SafeString:
    shown = format_html_join("\n", "{}", ((_SHOWN[record["kind"]](record),) for record in records))
    return format_html('<section id="{}"><h2>{}</h2>\n{}</section>', name, heading, shown)


def _state(record: Record) -> SafeString:
    return format_html("<pre>{}</pre>", visible(_indented(record["text"])))


def _indented(text: str) -> str:
    """Return JSON on several lines, its numbers and the order of its keys as they are; any other text as it is."""
    try:
        return parsing.dump(parsing.parse(text))
    except parsing.NotJson:
        return text


def _message(record: Record) -> SafeString:
    who = record["role"] if record["role"] != "other" else record["word"]
    name = f" {record['name']}" if record["name"] else ""
    parts = format_html_join("\n", "{}", ((_part(part),) for part in record["parts"]))
    return format_html(
        '<div class="record"><h3>{} <span class="quiet">{}{}</span></h3>\n{}</div>', record["number"], visible(who),
        visible(name), parts,
    )  # fmt: skip


def _part(part: Record) -> SafeString:
    text = visible(part["text"])
    match part["type"]:
        case "text":
            return format_html('<div class="said">{}</div>', text)
        case "call":
            return format_html("<p>calls <strong>{}</strong></p><pre>{}</pre>", visible(part["name"]), text)
        case "result":
            sign = "returned an error" if part["is_error"] else "returned"
            return format_html("<p>{} {}</p><pre>{}</pre>", visible(part["name"]), sign, text)
        case kind:
            return format_html('<p class="quiet">{}</p><pre>{}</pre>', kind, text)


def _transition(record: Record) -> SafeString:
    more = record["more_changes"]
    left_out = format_html('<p class="note">{} more changes are left out.</p>', f"{more:,}") if more else _NOTHING
    rows = format_html_join("\n", "{}", ((_change(change),) for change in record["changes"]))
    changes = (
        format_html('<table class="changes"><tbody>{}</tbody></table>', rows) if record["changes"]
        else SafeString('<p class="quiet">The state did not change.</p>')
    )  # fmt: skip
    by = f"by {record['by']}" if record["by"] else ""
    return format_html(
        '<div class="record"><h3>{} <span class="quiet">{} {}</span></h3>\n{}{}</div>',
        visible(record["reason"]) or "(no reason)", visible(record["at"]), visible(by), changes, left_out,
    )  # fmt: skip


def _change(change: Record) -> SafeString:
    before, after = (
        format_html('<code class="{}">{}</code>', side, visible(change[side])) if change[side] is not None else _NOTHING
        for side in ("before", "after")
    )
    if change["op"] == "moved":
        before = format_html("<code>from {}</code>", visible(change["from"]))
    path = visible(change["path"].lstrip("/")) or "(whole state)"
    return format_html("<tr><td>{}</td><td><code>{}</code></td><td>{}{}</td></tr>", SIGNS[change["op"]], path, before,
                       after)  # fmt: skip


def _snapshot(record: Record) -> SafeString:
    return format_html(
        '<div class="record"><h3>Snapshot {} <span class="quiet">{}</span></h3></div>',
        visible(record["description"]) or "(no description)", visible(record["at"]),
    )  # fmt: skip


def _session(record: Record) -> SafeString:
    return format_html(
        '<h3>Session {} <span class="quiet">{} since {}</span></h3>', visible(record["id"]), visible(record["status"]),
        visible(record["at"]),
    )  # fmt: skip


def _event(record: Record) -> SafeString:
    return format_html(
        '<div class="record"><p><strong>{}</strong> <span class="quiet">{} {} {}</span></p><div class="said">{}</div>'
        "</div>", visible(record["type"]), visible(record["actor_id"]), visible(record["at"]),
        visible(record["git_commit"]), visible(record["content"]),
    )  # fmt: skip


def _note(record: Record) -> SafeString:
    return format_html('<p class="note">{} {}</p>', record["text"], visible(record.get("at", "")))


def _masked(record: Record) -> SafeString:
    if not record["rules"]:
        return SafeString("<p>Nothing: no rule found a secret.</p>")
    rows = format_html_join(
        "\n", '<tr><td>{}</td><td class="number">{}</td><td class="number">{}</td></tr>',
        ((rule["rule"], f"{rule['different']:,}", f"{rule['places']:,}") for rule in record["rules"]),
    )  # fmt: skip
    return format_html(
        '<table><thead><tr><th>Rule</th><th class="number">Secrets</th><th class="number">Places</th></tr></thead>'
        "<tbody>{}</tbody></table>", rows,
    )  # fmt: skip


_SHOWN: Final[dict[str, Callable[[Record], SafeString]]] = {
    "state": _state, "message": _message, "transition": _transition, "snapshot": _snapshot, "session": _session,
    "event": _event, "note": _note, "masked": _masked,
}  # fmt: skip
