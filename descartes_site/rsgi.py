"""The entry point of `manage.py serve`: the WSGI application behind requests that wait for their bodies."""

from descartes_site.wsgi import application as wsgi_application
from statestore.operations.whole_requests import WholeRequests
from statestore.views.health import PROBES

application = WholeRequests(wsgi_application, ahead=PROBES)
