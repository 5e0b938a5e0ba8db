"""Passwords that live as long as one stack."""

import secrets

from lean_lite.protocol.permissions import ADMIN, ROLES

BYTES = 24


def new_password() -> str:
    """Return a random password that may stand in a URL."""
    return secrets.token_urlsafe(BYTES)


def new_passwords() -> dict[str, str]:
    """Return a password for every role and for the admin."""
    return {role: new_password() for role in (*ROLES, ADMIN)}
