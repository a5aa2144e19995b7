"""The entry point of `manage.py serve`: the WSGI application behind requests that wait for their bodies."""

from django.conf import settings

from descartes_site.wsgi import application as wsgi_application
from statestore.operations.whole_requests import WholeRequests
from statestore.views.health import PROBES

# A proxy may pass the path prefix on, or take it off.
application = WholeRequests(wsgi_application, ahead={*PROBES, *(f"{settings.PATH_PREFIX}{path}" for path in PROBES)})
