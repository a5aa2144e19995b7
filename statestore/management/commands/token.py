"""`manage.py token create|list|revoke`: keys for scripts that use the JSON API."""

from collections.abc import Callable
from datetime import UTC, datetime

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser

from descartes_site.locations import COMMAND
from statestore import models
from statestore.access import tokens
from statestore.access.audit import SYSTEM
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import one_line


class Command(StoreCommand):
    help = "Make, list and revoke tokens for the JSON API. `create` prints the secret, and nothing else, on stdout."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, parser_class=type(parser))
        create = verbs.add_parser("create", help="make a token; its secret is shown this once")
        create.add_argument("name", help="which script uses it")
        create.add_argument("--user", required=True, help="the user on whose behalf it acts, with their role")
        create.add_argument(
            "--scopes",
            default="read",
            help="some of read,write,restore,admin, or approve without restore (default: read)",
        )
        create.add_argument("--namespaces", help="only these, with commas; an empty one for agents without")
        create.add_argument("--stores", default="", help="of several, with commas (default: the one of --store)")
        create.add_argument("--days", type=int, default=tokens.USUAL_DAYS, help="how long it holds (default: 90)")
        verbs.add_parser("list", help="show all tokens, never their secrets")
        revoke = verbs.add_parser("revoke", help="make a token useless at once")
        revoke.add_argument("token", help="its prefix, as `list` shows it")

    def handle(self, *, verb: str, **options: object) -> None:
        try:
            verbs: dict[str, Callable[..., None]]
            verbs = {"create": self._create, "list": self._list, "revoke": self._revoke}
            verbs[verb](**options)
        except StateStoreError as error:
            raise CommandError(one_line(str(error))) from error

    def _create(
        self, *, user: str, name: str, scopes: str, namespaces: str | None, stores: str, days: int, **options: object
    ) -> None:
        owner = get_user_model().objects.filter(username=user).first()
        if owner is None:
            raise CommandError(f"User {one_line(user)} not found. `{COMMAND} createsuperuser` creates one.")
        asked = _words(scopes)
        limited = None if namespaces is None else [namespace.strip() for namespace in namespaces.split(",")]
        made, secret = tokens.create(
            owner, name, asked, namespaces=limited, stores=_words(stores), days=days, by=SYSTEM
        )
        self.stderr.write(f"{made.prefix} for {one_line(owner.get_username())}: {made.scopes}, until {_day(made)}")
        self.stdout.write(secret)

    def _list(self, **options: object) -> None:
        now = models.now()
        for token in models.ApiToken.objects.select_related("user"):
            state = "revoked" if token.revoked_at else "expired" if token.is_expired(now) else f"until {_day(token)}"
            where = "all namespaces" if token.namespaces is None else ",".join(token.namespaces) or "none"
            line = f"{token.prefix}  {state:<16}  {token.user.get_username()}  {token.scopes}  {where}  {token.name}"
            self.stdout.write(one_line(line))

    def _revoke(self, *, token: str, **options: object) -> None:
        revoked = tokens.revoke(token)
        self.stdout.write(f"{revoked.prefix} is revoked.")


def _day(token: models.ApiToken) -> str:
    return datetime.fromtimestamp(int(token.expires_at), UTC).strftime("%Y-%m-%d")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
