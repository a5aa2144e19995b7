"""What each of the demo's agents does for a living: its goal, what it works on, and how a step of its work goes.

A step's words have places: {thing} is what the agent works on, {case} which side of it, {n} and {m} are numbers. An
agent takes all steps for one thing, then goes on to the next. The numbers of things and of cases have no common
divisor, so that it does not repeat itself.
"""

from dataclasses import dataclass
from typing import Final

from statestore.demo.formats import ANTHROPIC, GOOGLE, LANGCHAIN, OPENAI, Format

CODER_GOAL: Final = "Refactor the parser into a tokenizer and a tree builder without changing the public API"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what the agent thinks, the tool that it calls, what that returns, and what the agent then reports."""

    thought: str
    tool: str
    arguments: dict[str, str]
    output: str
    reason: str


@dataclass(frozen=True, slots=True)
class Trade:
    """A kind of agent."""

    goal: str
    format: Format
    things: tuple[str, ...]
    cases: tuple[str, ...]
    steps: tuple[Step, ...]
    questions: tuple[str, ...]
    notes: tuple[str, ...] = ()


CODE: Final = (
    Step(
        "Before I touch {thing} I want to see how it treats {case}.",
        "read_file",
        {"path": "src/parser/{thing}.rs"},
        "{n}: fn {thing}(input: &str) -> Result<Node, ParseError> {\n"
        "        // {case}: see the invariants in docs/parser.md\n"
        "        let token = self.next_token()?;\n"
        "        self.expect(token, Kind::Open)?;",
        "read {thing}",
    ),
    Step(
        "Who relies on {case} in {thing}? If it is only the tree builder, it can move.",
        "search",
        {"text": "{thing}("},
        "src/parser/tree.rs:{n}: {thing}(rest)?\nsrc/cli/main.rs:{m}: {thing}(&source)\n2 files",
        "searched the callers of {thing}",
    ),
    Step(
        "The part of {thing} that handles {case} goes to the tokenizer; the signature stays.",
        "apply_patch",
        {"path": "src/parser/{thing}.rs"},
        "patched src/parser/{thing}.rs: +{n} −{m}",
        "patched {thing}",
    ),
    Step(
        "Now the tests of {thing}, with {case} first.",
        "run_tests",
        {"filter": "parser::{thing}"},
        "test parser::{thing}::accepts ... ok\ntest parser::{thing}::rejects ... ok\n"
        "test result: ok. {m} passed; 0 failed; finished in {n} ms",
        "tests of {thing} passed",
    ),
)

TRADES: Final[dict[str, Trade]] = {
    "coder": Trade(
        CODER_GOAL,
        OPENAI,
        (
            "lexer",
            "string_literal",
            "number",
            "block",
            "attribute",
            "path_segment",
            "comment",
            "escape",
            "operator",
            "list",
            "pair",
            "heredoc",
            "document",
        ),
        (
            "a missing brace",
            "trailing commas",
            "nested quotes",
            "an empty input",
            "a byte order mark",
            "deep nesting",
            "a line without an end",
        ),
        CODE,
        ("How far is the tokenizer?", "Does the public API still compile?", "Can the old lexer go yet?"),
        (
            "keep the old lexer until the fuzz run is clean",
            "the public API is frozen for 2.4",
            "error codes are documented, do not renumber them",
        ),
    ),
    "planner": Trade(
        "Split the 2.4 milestone into tasks that fit one session each",
        GOOGLE,
        (
            "the tokenizer",
            "the tree builder",
            "the error paths",
            "the settings page",
            "the migration guide",
            "the CLI flags",
            "the benchmark",
            "the region rollout",
            "the release notes",
            "the fuzz targets",
            "the fixtures",
        ),
        ("its risk", "its order", "its owner", "its estimate", "what it waits for"),
        (
            Step(
                "I look at {thing} again for {case}.",
                "list_tasks",
                {"about": "{thing}"},
                "{m} tasks about {thing}, {n} minutes of work left",
                "looked at {thing}",
            ),
            Step(
                "{case} of {thing} was a guess; the last sessions say how long it really takes.",
                "session_times",
                {"about": "{thing}"},
                "median {n} min, longest {m} min",
                "measured {thing}",
            ),
            Step(
                "I split {thing}: nobody finishes it in one session, and {case} becomes clearer.",
                "split_task",
                {"task": "{thing}"},
                "2 tasks: {n} min and {m} min",
                "split {thing}",
            ),
        ),
        ("What is on the critical path?", "Who is free this afternoon?", "What can be left for 2.5?"),
        ("no task longer than two hours", "the reviewer is the bottleneck on Thursdays"),
    ),
    "reviewer": Trade(
        "Review every patch for the 2.4 milestone within the hour",
        ANTHROPIC,
        (
            "#412 tokenizer",
            "#415 error paths",
            "#417 settings",
            "#420 fixtures",
            "#421 CLI flags",
            "#424 heredocs",
            "#427 benchmark",
            "#430 docs",
        ),
        ("error handling", "names", "test coverage", "the public API", "a copied block"),
        (
            Step(
                "{thing} is next. I read it for {case}.",
                "get_diff",
                {"patch": "{thing}"},
                "{n} files changed, {m} insertions(+)",
                "read {thing}",
            ),
            Step(
                "In {thing} something about {case} is off: the same check stands in two places.",
                "comment",
                {"patch": "{thing}", "text": "One helper could serve both."},
                "comment {n} added",
                "commented on {thing}",
            ),
            Step(
                "The author has answered on {case}; {thing} is better than before.",
                "approve",
                {"patch": "{thing}"},
                "approved, {m} of 2",
                "approved {thing}",
            ),
        ),
        ("Is #415 ready?", "Why was #420 sent back?"),
        ("small commits: the rename apart from the change",),
    ),
    "tester": Trade(
        "Keep the suite green on the three supported platforms",
        LANGCHAIN,
        ("linux-x64", "linux-arm64", "macos-arm64"),
        (
            "the parser",
            "the CLI",
            "the settings",
            "the fixtures",
            "the fuzz corpus",
            "the docs examples",
            "the upgrade path",
        ),
        (
            Step(
                "{case} on {thing}: it was the slowest of the last night.",
                "run_suite",
                {"platform": "{thing}", "part": "{case}"},
                "{n} passed, 0 failed, {m} skipped",
                "suite on {thing} passed",
            ),
            Step(
                "One test of {case} took three times as long on {thing} as elsewhere. I look at its log.",
                "read_log",
                {"platform": "{thing}"},
                "slowest: deep_nesting {n} s\nsecond: round_trip {m} s",
                "read the log of {thing}",
            ),
            Step(
                "I run {case} on {thing} {m} times: a test that fails once a week is still broken.",
                "repeat",
                {"platform": "{thing}", "times": "{m}"},
                "{m} of {m} passed",
                "repeated {case}",
            ),
        ),
        ("Is macOS green again?", "Which test is the slowest?"),
        ("CI on macos-arm64 is slow: wait 20 minutes",),
    ),
    "writer": Trade(
        "Describe each new setting with an example that runs",
        ANTHROPIC,
        ("parser.strict", "parser.depth", "log.format", "net.timeout", "cache.size", "cli.colour", "region.name"),
        ("its default", "its limits", "an example", "what it replaces"),
        (
            Step(
                "For {thing} I need {case}; the code is the only source that is right.",
                "read_file",
                {"path": "src/config.rs"},
                '{n}:     /// {case}\n{m}:     "{thing}" => Setting::new(),',
                "read {thing}",
            ),
            Step(
                "I write {case} of {thing}, in two sentences.",
                "write_file",
                {"path": "docs/settings.md"},
                "docs/settings.md: +{m} lines",
                "described {thing}",
            ),
            Step(
                "The example of {thing} must run as it stands. I try it.",
                "shell",
                {"command": "docs/run {thing}"},
                "exit 0 after {n} ms",
                "tried the example of {thing}",
            ),
        ),
        ("Are all settings of 2.4 described?",),
    ),
    "release": Trade(
        "Publish 2.4.0 when all blocking tasks are done",
        OPENAI,
        ("the changelog", "the packages", "the signatures", "the upgrade test", "the mirror"),
        ("what is missing", "who confirms it", "how it is undone"),
        (
            Step(
                "{thing}: I check {case}.",
                "checklist",
                {"item": "{thing}"},
                "{m} of {n} points done",
                "checked {thing}",
            ),
            Step(
                "{thing} of the last release tells {case}.",
                "compare_release",
                {"item": "{thing}", "with": "2.3.4"},
                "{n} entries differ",
                "compared {thing}",
            ),
        ),
        ("When do we publish?",),
    ),
    "triage": Trade(
        "Sort incoming reports by who is affected and how badly",
        ANTHROPIC,
        (
            "report 8812",
            "report 8815",
            "report 8821",
            "report 8824",
            "report 8830",
            "report 8833",
            "report 8841",
            "report 8846",
            "report 8850",
            "report 8852",
            "report 8859",
            "report 8863",
            "report 8871",
        ),
        ("a crash", "a wrong total", "a slow page", "a lost setting", "a typo"),
        (
            Step(
                "{thing} is about {case}. How many are affected?",
                "count_affected",
                {"report": "{thing}"},
                "{n} users in {m} days",
                "counted {thing}",
            ),
            Step(
                "{case} was reported before; {thing} may be the same.",
                "similar",
                {"report": "{thing}"},
                "{m} similar reports, the oldest {n} days old",
                "compared {thing}",
            ),
            Step(
                "{thing} gets its label: {case}.",
                "label",
                {"report": "{thing}", "label": "{case}"},
                "labelled, {n} left in the queue",
                "labelled {thing}",
            ),
        ),
        ("Anything urgent in the queue?", "Was 8815 a crash after all?"),
    ),
    "deployer": Trade(
        "Roll 2.3.4 out to the second region in four steps",
        LANGCHAIN,
        ("5 %", "20 %", "50 %", "100 %"),
        ("error rate", "latency", "memory", "queue length", "disk"),
        (
            Step(
                "At {thing} of the traffic I look at {case} before I go on.",
                "metrics",
                {"region": "2", "metric": "{case}"},
                "{case}: {n} now, {m} an hour ago",
                "checked {case} at {thing}",
            ),
            Step(
                "{case} is as before. I hold at {thing} for ten minutes.",
                "wait",
                {"minutes": "10"},
                "no alert in 10 minutes ({n} checks)",
                "held at {thing}",
            ),
        ),
        ("Why is the rollout paused?",),
    ),
    "watcher": Trade(
        "Notice error rates above 0.5 % before a person does",
        GOOGLE,
        ("checkout", "search", "login", "uploads", "exports", "webhooks", "billing"),
        ("timeouts", "refused writes", "slow queries", "retries"),
        (
            Step(
                "{thing}: {case} in the last five minutes.",
                "query",
                {"service": "{thing}", "about": "{case}"},
                "{case}: 0.{m} %, {n} requests",
                "watched {thing}",
            ),
            Step(
                "{case} of {thing} rose a little. The same hour last week tells whether that is usual.",
                "compare_week",
                {"service": "{thing}"},
                "now 0.{m} %, last week 0.{m} %",
                "compared {thing}",
            ),
        ),
        ("Was there a spike at noon?",),
    ),
    "analyst": Trade(
        "Explain the cost of each agent per finished task",
        OPENAI,
        ("Coder 1", "Coder 2", "Planner", "Reviewer", "Tester", "Triage", "Watcher"),
        ("tokens per task", "retries", "idle time", "tool errors"),
        (
            Step(
                "{case} of {thing}, by day.",
                "sql",
                {"query": "SELECT day, cost FROM costs WHERE agent = '{thing}'"},
                "day  cost\nMon  {n}.10\nTue  {m}.40\nWed  {n}.90",
                "read the {case} of {thing}",
            ),
            Step(
                "Half of what {thing} costs is {case}. I want to see it per finished task.",
                "chart",
                {"agent": "{thing}", "measure": "{case}"},
                "chart {n} saved, {m} points",
                "charted {thing}",
            ),
        ),
        ("Which agent costs most?", "What did the retries cost?"),
    ),
}
