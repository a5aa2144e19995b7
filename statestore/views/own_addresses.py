"""Which addresses a request may lead on to: those of the dashboard."""

from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.urls import get_script_prefix
from django.utils.http import url_has_allowed_host_and_scheme


def is_own(request: HttpRequest, address: str) -> bool:
    """Return whether an address is on the dashboard's host, or a trusted origin, and below its path prefix."""
    hosts = {request.get_host(), *(urlsplit(origin).netloc for origin in settings.CSRF_TRUSTED_ORIGINS)}
    if not url_has_allowed_host_and_scheme(address, hosts, require_https=request.is_secure()):
        return False
    return urlsplit(urljoin(request.path, address)).path.startswith(get_script_prefix())
