"""The JSON face: everything that a person can do, a script can do.

site         the calls as one site: its addresses, what is said of a call that there is not
calls        how a call is declared: method, path, scope, permission, answers
callers      who calls: by token or by login, within which namespaces, how often
bodies       what comes in, checked before anything is done
shapes       rows as JSON
schemas      what goes in and out, as the documentation shows it
answers      what goes out: JSON, entity tags, pages
rate         how often a token may call
once         Idempotency-Key: done once, answered the same
problems     errors as RFC 9457 problem details
openapi      the description of it all
and one file for each noun.
"""
