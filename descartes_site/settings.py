"""All settings, driven by the environment. The table in docs/operations.md lists every variable."""

import os
from hashlib import sha256
from typing import Any

from csp.constants import NONE, SELF

from descartes_site import database_urls, locations, secret_key, sqlite_library, stores
from descartes_site.environment import Environment

env = Environment(os.environ, base=locations.base())
# Where everything lies that is written: databases, index, key, backups; elsewhere if the checkout is read-only.
VAR_DIR = env.path("VAR_DIR", locations.data())

# A request waits no longer for a connection, so that a server which is away does not take every thread. An attempt to
# connect is given up at once: by default it is repeated after ever longer pauses, for minutes, while no other is made.
# None is kept ready; one that is idle is closed after ten minutes.
_POOL = {
    "min_size": 0,
    "max_size": database_urls.USUAL_CONNECTIONS,
    "timeout": 2.0,
    "reconnect_timeout": 0.5,
    "max_idle": 600.0,
}
# A server that is cut off is noticed after so long, by TCP: no bound of its own can end what it does not send.
_TCP = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
# Where several stores are served, their pools would have more threads than the server. Each thread of the server keeps
# a connection for so long instead.
_KEPT_SECONDS = 60


def _connection(database: dict[str, Any], *, is_one_of_several: bool = False) -> dict[str, Any]:
    """Return Django's settings for a database."""
    if database["ENGINE"] == "sqlite":
        return database_urls.as_guest(database)
    options = {"connect_timeout": 2, "application_name": "descartes-statestore", **_TCP, **database["OPTIONS"]}
    if is_one_of_several:
        kept = {"CONN_MAX_AGE": _KEPT_SECONDS, "CONN_HEALTH_CHECKS": True}
        return {**database, "ENGINE": "statestore.db.postgresql", "OPTIONS": options, **kept}
    options["pool"] = {**_POOL, **database["POOL"]}
    return {**database, "ENGINE": "statestore.db.postgresql", "OPTIONS": options, "CONN_HEALTH_CHECKS": True}


DEBUG = env.boolean("DEBUG", default=False)
_given_key = env.literal("SECRET_KEY")
SECRET_KEY = secret_key.checked(_given_key, env.refuse) if _given_key else secret_key.kept_in(VAR_DIR, env.refuse)
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
# Those that others than this machine use.
PUBLIC_HOSTS = [name for name in ALLOWED_HOSTS if name not in {"127.0.0.1", "localhost", "[::1]"}]
# Behind a proxy that ends TLS: cookies are marked secure, and plain HTTP is sent to HTTPS.
HTTPS = env.boolean("HTTPS", default=False)
# The proxies whose X-Forwarded-For, -Proto, -Host and -Prefix are believed. With HTTPS there is one, and on most
# installations it runs on this machine. Without, all would be able to choose the address that is logged for them.
_given_proxies = env.words("TRUSTED_PROXIES")
TRUSTED_PROXIES = _given_proxies or (["127.0.0.0/8", "::1"] if HTTPS else [])
# Single sign-on: the headers in which a proxy names the user and the groups. The name of a user is believed from
# proxies that are named above alone: on this machine, any program could send it.
REMOTE_USER_HEADER = env.text("REMOTE_USER_HEADER")
REMOTE_GROUPS_HEADER = env.text("REMOTE_GROUPS_HEADER")
# Which role a group of the proxy's gives: group=role, separated by commas. A group named like a role gives that role.
REMOTE_ROLES = env.words("REMOTE_ROLES")
# Where the proxy's own sign-out is, such as /oauth2/sign_out.
REMOTE_SIGN_OUT_URL = env.text("REMOTE_SIGN_OUT_URL")
TRUSTED_PROXIES_ARE_NAMED = bool(_given_proxies)
# The path of the host below which the dashboard is served, such as /statestore; a trusted proxy may forward another.
_given_prefix = env.text("PATH_PREFIX").strip("/")
PATH_PREFIX = f"/{_given_prefix}" if _given_prefix else ""
# Addresses that users see in their browsers, where the proxy passes on another host name or leaves out the port.
CSRF_TRUSTED_ORIGINS = [origin.rstrip("/") for origin in env.words("CSRF_TRUSTED_ORIGINS")]
# A login ends after so many hours without use, and 14 days after signing in.
SESSION_IDLE_HOURS = env.decimal("SESSION_IDLE_HOURS", 12.0, above=0, most=87_600)
# A link to one commit, e.g. https://git.example.org/team/repo/commit/{commit}; empty shows commits without a link.
COMMIT_URL = env.commit_url("COMMIT_URL")
# Whether each restore must be approved by a second person; undoing one need not.
RESTORES_NEED_APPROVAL = env.boolean("RESTORES_NEED_APPROVAL", default=False)
# Capture: a change whose two states are longer together leaves only its time; so many of the newest changes are kept.
CAPTURE_MAX_BYTES = env.integer("CAPTURE_MAX_BYTES", 2 * 1024 * 1024, least=0, most=10**12)
CAPTURE_ROWS = env.integer("CAPTURE_ROWS", 20_000, least=1, most=10**12)
# An active agent that nothing changed for so long counts as being in trouble.
SILENT_AFTER_SECONDS = env.integer("SILENT_AFTER_SECONDS", 3600, least=1, most=10**10)
# Directories from which administrators add stores on the page Stores; then there are several, be it none at first.
STORE_DIRS = env.directories("STORE_DIRS")
if STORE_DIRS and env.text("STORE_URL"):
    env.refuse("STORE_DIRS is for several stores, STORE_URL names one; name yours in STORES: STORES=name=url.")
_is_embedded = not (env.text("STORE_URL") or env.text("STORES") or STORE_DIRS)
# Whether housekeeping deletes snapshots that have expired: in a store of our own; in an orchestrator's, say so.
DELETE_EXPIRED = env.boolean("DELETE_EXPIRED", default=_is_embedded)
# Housekeeping archives transitions and snapshots that are older: states in compressed frames, read as before. 0: never,
# as in an orchestrator's file, whose own history would no longer have them.
ARCHIVE_AFTER_HOURS = env.integer("ARCHIVE_AFTER_HOURS", 30 * 24 if _is_embedded else 0, least=0, most=10_000_000)
# Backups: where they lie, every how many hours the dashboard takes one (0: never), and how many days, weeks and months
# keep one each. A store of our own is backed up each day; for an orchestrator's file, say so.
BACKUP_DIR = env.path("BACKUP_DIR", VAR_DIR / "backups")
# Where each backup is copied to as well: a directory, or s3://bucket/prefix.
BACKUP_COPY_TO = env.text("BACKUP_COPY_TO")
BACKUP_EVERY_HOURS = env.integer("BACKUP_EVERY_HOURS", 24 if _is_embedded else 0, least=0, most=8_760)
BACKUP_KEEP_DAYS = env.integer("BACKUP_KEEP_DAYS", 7, least=0, most=10_000)
BACKUP_KEEP_WEEKS = env.integer("BACKUP_KEEP_WEEKS", 4, least=0, most=10_000)
BACKUP_KEEP_MONTHS = env.integer("BACKUP_KEEP_MONTHS", 12, least=0, most=10_000)
# Directories whose files administrators may mirror on the page Sources, and PostgreSQL servers (host or host:port) of
# which they may mirror databases; empty: none. What is uploaded may have so many megabytes; 0: nothing is.
SOURCE_DIRS = env.directories("SOURCE_DIRS")
SOURCE_SERVERS = env.words("SOURCE_SERVERS")
SOURCE_UPLOAD_MB = env.integer("SOURCE_UPLOAD_MB", 64, least=0, most=2_000)
# Exported cases: names whose values are masked, separated by commas, and patterns of secrets, by spaces; beside the
# rules that always hold (statestore/cases/masking.py).
MASK_KEYS = env.words("MASK_KEYS")
MASK_PATTERNS = env.patterns("MASK_PATTERNS")
# How often one token may call, for each server process: 600/minute, 100/second …
API_RATE = env.rate("API_RATE", "60000/minute")

INSTALLED_APPS = [
    "statestore.apps.StateStoreConfig",
    "descartes_site.admin_site.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",
    "django_htmx",
    "csp",
    "axes",
]

MIDDLEWARE = [
    "statestore.middleware.LoggedRequests",
    "statestore.middleware.ForwardedHeaders",
    "statestore.middleware.ChosenStore",
    "statestore.middleware.Probes",
    "statestore.middleware.UntrustedProxies",
    "statestore.middleware.CompressedPages",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "statestore.middleware.SecurityHeaders",
    "statestore.middleware.Sessions",
    "django.middleware.common.CommonMiddleware",
    "statestore.middleware.BoundedBodies",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "statestore.access.remote_user.RemoteUser",
    "statestore.middleware.SignInRequired",
    "statestore.middleware.KeptForms",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "statestore.middleware.ReadReplica",
    "statestore.middleware.StoreErrors",
    "statestore.middleware.BoundedEffort",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "descartes_site.urls"
WSGI_APPLICATION = "descartes_site.wsgi.application"
ASGI_APPLICATION = "descartes_site.asgi.application"

# Fields of forms are rendered by our templates too: statestore/_parts/field.html.
FORM_RENDERER = "statestore.views.rendering.LabelledFields"

TEMPLATES = [
    {
        "BACKEND": "statestore.views.rendering.LenientTextTemplates",
        "NAME": "django",
        "DIRS": [locations.FILES / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "statestore.views.context.frame",
            ],
            "builtins": ["statestore.templatetags.statestore"],
        },
    }
]

_own = env.own_database("DATABASE_URL", VAR_DIR / "dashboard.db")
_store = env.database("STORE_URL", VAR_DIR / "descartes.db")
DATABASES: dict[str, dict[str, Any]] = {"default": _connection(_own)}
# One PostgreSQL database for both is one alias: two would share one django_migrations table and skip each other's work.
STORE_ALIAS = "default" if env.is_one_database(_own, _store) else "store"
# Several stores, each below /stores/NAME/: {name: alias}; statestore/db/served.py knows those that were added too.
# Empty where there is one, which STORE_URL names.
_several = env.stores(_own)
STORES = {name: stores.alias_of(name) for name in _several}
# To so many of them each thread of the server keeps a connection.
STORE_CONNECTIONS = env.integer("STORE_CONNECTIONS", 8, least=1, most=1_000)
if STORES or STORE_DIRS:
    DATABASES |= {STORES[name]: _connection(each, is_one_of_several=True) for name, each in _several.items()}
elif STORE_ALIAS == "store":
    DATABASES["store"] = _connection(_store)
# The aliases of read replicas by those of their stores. One that is further behind is not read.
REPLICAS: dict[str, str] = {}
for _alias, _place in {STORES[name]: _several[name] for name in STORES}.items() or [(STORE_ALIAS, _store)]:
    if _replica := database_urls.replica_of(_place):
        REPLICAS[_alias] = f"replica:{_alias}"
        DATABASES[REPLICAS[_alias]] = _connection(_replica, is_one_of_several=bool(STORES or STORE_DIRS))
REPLICA_MAX_LAG_SECONDS = env.integer("REPLICA_MAX_LAG_SECONDS", 30, least=1, most=86_400)
_engines = {_own["ENGINE"], *(each["ENGINE"] for each in [*_several.values()] or [_store])}
if "sqlite" in _engines and (_lack := sqlite_library.fault()):
    env.refuse(_lack)
# The store that `make run` made itself, as opposed to one that an orchestrator owns.
STORE_IS_EMBEDDED = _is_embedded
# The search index of an SQLite store: a disposable file beside our own database, one for each store.
_index_name = "search.db" if STORE_IS_EMBEDDED else f"search-{sha256(os.fsencode(_store['NAME'])).hexdigest()[:8]}.db"
SEARCH_INDEX = str(env.path("SEARCH_INDEX", VAR_DIR / _index_name))
# Whether adoption puts triggers on the orchestrator's events that mark what changed; without them, all is polled.
SEARCH_TRIGGERS = env.boolean("SEARCH_TRIGGERS", default=True)
SEARCH_POLL_SECONDS = 0.5  # how long a new event may wait for the indexer
DATABASE_ROUTERS = ["statestore.db.routers.StoreRouter"]
# What one store's pages put there, no other's find.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "KEY_FUNCTION": "statestore.db.routers.cache_key",
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    *(["statestore.access.remote_user.ProxyBackend"] if REMOTE_USER_HEADER else []),
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
# Who may try to sign in how often is decided in statestore/access/sign_ins.py; the library calls it and keeps the rows.
AXES_HANDLER = "statestore.access.sign_ins.SignIns"
AXES_CLIENT_IP_CALLABLE = "statestore.access.sign_ins.source"
AXES_LOCKOUT_CALLABLE = "statestore.views.sign_in.locked"
AXES_ENABLE_ADMIN = False  # The page “Sign-ins” shows them.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_VERBOSE = False
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
DATETIME_FORMAT = "Y-m-d H:i:s"

STATIC_URL = "/static/"  # The prefix is put before it for each request.
# Files that were collected when an image was built are used as they are.
_collected = locations.FILES / "staticfiles"
_is_elsewhere = bool(env.text("VAR_DIR")) or not locations.IS_CHECKOUT
STATIC_ROOT = env.path("STATIC_ROOT", VAR_DIR / "static" if _is_elsewhere and not _collected.exists() else _collected)
STATICFILES_DIRS = [locations.FILES / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": f"statestore.views.static_files.{'PlainFiles' if DEBUG else 'HashedFiles'}"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

# No nonces: with one, htmx would stamp it on any script that is swapped in.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
MESSAGE_STORAGE = "statestore.access.messages.StoreMessages"
SESSION_ENGINE = "statestore.access.browser_sessions"
SESSION_COOKIE_AGE = 14 * 24 * 3600
# With this prefix a browser takes them over HTTPS alone, from this host alone, for all of its paths.
_cookie_prefix = "__Host-" if HTTPS else ""
SESSION_COOKIE_NAME = f"{_cookie_prefix}descartes_session"
CSRF_COOKIE_NAME = f"{_cookie_prefix}csrftoken"
KNOWN_BROWSER_COOKIE_NAME = f"{_cookie_prefix}descartes_browser"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "statestore.views.errors.form_refused"
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
# Both reach beyond this host, and are hard to take back: choices of the operator, whom no check shall push.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.boolean("HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.boolean("HSTS_PRELOAD", default=False)
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
# Edits of large task descriptions are fine; a form of this product never needs more.
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024
# One form takes a file, from those who may import; Django's own handlers would write any to the disk, also without a
# login.
FILE_UPLOAD_HANDLERS = ["statestore.forms.uploads.FilesOfSources"]
# A batch names up to 5,000 agents, a preview up to 2,000 paths; more is refused in words, not by the parser.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 25_000

# Statements that take so many milliseconds are logged, without their values; 0: none.
SLOW_QUERY_MS = env.integer("SLOW_QUERY_MS", 0, least=0, most=10**7)
# Where OpenTelemetry's packages send traces and metrics; they read the other variables OTEL_… themselves.
OTEL_EXPORTER_OTLP_ENDPOINT = env.text("OTEL_EXPORTER_OTLP_ENDPOINT")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "statestore.logs.OneLineFormatter", "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {"()": "statestore.logs.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": env.choice("LOG_FORMAT", "text", ["text", "json"]),
        }
    },
    "root": {"handlers": ["console"], "level": env.level("LOG_LEVEL", "WARNING")},
    "loggers": {name: {"level": "INFO"} for name in ("statestore.access.sign_ins", "statestore.stores.adding")},
}

# All that is wrong is said at once.
env.verify()
