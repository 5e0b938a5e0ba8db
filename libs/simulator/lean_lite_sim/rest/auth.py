"""Keys in HTTP headers."""

import base64
import binascii
from collections.abc import Mapping


def keys_in_headers(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Find key id and secret in Alpaca's own headers or in Basic authorization."""
    if "APCA-API-KEY-ID" in headers:
        return headers["APCA-API-KEY-ID"], headers.get("APCA-API-SECRET-KEY", "")
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        key, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return key, secret
