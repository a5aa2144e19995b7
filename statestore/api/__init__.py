"""The JSON API: everything a person can do in the dashboard, a script can do here.

site         the URLconf: routing, HEAD, common headers, a problem for every error
calls        how a call is declared: method, path, scope, permission, responses
routers      the calls, one file per noun
schemas      request and response bodies, as published in OpenAPI
auth         the caller: token or login, permissions, visible namespaces
throttling   the rate limit per token
resources    rows by address, and the responses for one row
parsers      request bodies, validated before anything runs
serializers  rows as JSON
responses    JSON responses, ETags, pages
idempotency  Idempotency-Key: a request runs once, its response is replayed
problems     errors as RFC 9457 problem details
openapi      the OpenAPI 3.1 document
"""
