"""`python -m tests.browser.people`: make a person of each role and print the session in which each is signed in.

With `prove`, those who had given their passwords have given them just now.
"""

import json
import sys

import django

# Known to the tests that sign in by the form.
PASSWORD = "correct horse battery"
ROLES = ("viewer", "operator", "manager", "administrator")


def main() -> None:
    django.setup()
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import Group, User

    from statestore import models
    from statestore.access.browser_sessions import SessionStore
    from statestore.access.reauthentication import PROVED_AT

    if sys.argv[1:] == ["prove"]:
        for row in SessionStore.get_model_class().objects.all():
            session = SessionStore(row.session_key)
            if PROVED_AT in session:
                session[PROVED_AT] = models.now()
                session.save()
        return
    sessions = {}
    for role in ROLES:
        user = User.objects.create_user(
            role, password=PASSWORD, is_staff=role in {"manager", "administrator"}, is_superuser=role == "administrator"
        )
        user.groups.add(Group.objects.get(name=role))
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        if role != "viewer":  # Of whom the password is asked for again.
            session[PROVED_AT] = models.now()
        session.save()
        sessions[role] = str(session.session_key)
    json.dump(sessions, sys.stdout)


if __name__ == "__main__":
    main()
