"""What Alpaca's refusals mean, and what to do about them."""

KEYS = "check the keys: APCA_API_KEY_ID and APCA_API_SECRET_KEY must belong together"
FORBIDDEN = (
    "check that APCA_API_KEY_ID and APCA_API_SECRET_KEY belong together, and the plan: a free one "
    "has no SIP data of the last 15 minutes (set alpaca.feed to iex)"
)

ADVICE = {
    401: KEYS,
    402: KEYS,
    403: FORBIDDEN,
    405: "the plan has no room for more symbols: unsubscribe others first, or change the plan",
    406: (
        "another program uses the account's only connection: end it; after an unclean end "
        "Alpaca frees it within some 90 s, and this service goes on by itself"
    ),
    409: "the plan does not include this feed: set alpaca.feed to iex, or change the plan",
    410: "Alpaca does not offer bars on this feed: set alpaca.feed to iex or sip",
    411: "the keys lack the scope for data: make new ones",
    422: FORBIDDEN,
    429: "too many requests: lower ingest.rest_requests_per_min to what the plan allows",
}


def explain(code: int, text: str) -> str:
    """Return a refusal with its code and what to do; codes are those of the socket and of HTTP."""
    advice = ADVICE.get(code)
    return f"{text} ({code})" if advice is None else f"{text} ({code}); {advice}"
