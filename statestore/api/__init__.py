"""The JSON face: everything that a person can do, a script can do.

site         the calls as one site: its addresses, and problems for whatever goes wrong
calls        how a call is declared: method, path, scope, permission, answers
routers      the calls, one file for each noun
schemas      what goes in and out, as the documentation shows it
auth         who calls: by token or by login, within which namespaces
throttling   how often a token may call
parsers      request bodies, checked before anything is done
serializers  rows as JSON
responses    what goes out: JSON, entity tags, pages
idempotency  Idempotency-Key: done once, answered the same
problems     errors as RFC 9457 problem details
openapi      the description of it all
"""
