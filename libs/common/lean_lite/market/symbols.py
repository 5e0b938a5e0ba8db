"""Asset class of a symbol, derived from its form."""

# ISO 4217, precious metals included, and CNH, the yuan as traded outside of China. A withdrawn code
# stays here: otherwise the stored bars of its pairs would change their asset class and lane.
CURRENCIES = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN
    BZD CAD CDF CHF CLP CNH CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL
    GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF
    KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR
    MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG
    SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD
    UYU UZS VED VES VND VUV WST XAF XAG XAU XCD XCG XOF XPD XPF XPT YER ZAR ZMW ZWG ZWL
    """.split()  # noqa: SIM905 - a list would take a screen for each letter
)


def asset_class_of(symbol: str) -> str:
    """
    Return the asset class of a symbol; any text has one.

    A pair of currencies (EUR/USD) is `forex`, any other pair (BTC/USD) `crypto`, all else `equity`.
    """
    base, slash, quote = symbol.partition("/")
    if not slash:
        return "equity"
    return "forex" if base in CURRENCIES and quote in CURRENCIES else "crypto"
