"""Random passwords, valid for the life of one stack."""

import secrets

from lean_lite.protocol.permissions import ADMIN, ROLES

PASSWORD_BYTES = 24


def new_password() -> str:
    """Return a random password that needs no escaping in a URL."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def new_passwords() -> dict[str, str]:
    """Return a password for every role and for the admin."""
    return {role: new_password() for role in (*ROLES, ADMIN)}
