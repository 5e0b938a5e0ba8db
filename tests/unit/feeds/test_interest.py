from lean_lite.feeds.interest import EXPIRY_S, ClientInterest


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_last_request_of_each_client_counts() -> None:
    interest = ClientInterest()
    interest.update("a", ["X", "Y"])
    interest.update("b", ["Y", "Z"])
    assert interest.symbols == {"X", "Y", "Z"}
    interest.update("a", ["X"])
    assert interest.symbols == {"X", "Y", "Z"}
    interest.update("b", [])
    assert interest.symbols == {"X"}


def test_the_interest_of_a_silent_client_expires() -> None:
    clock = Clock()
    interest = ClientInterest(clock=clock)
    interest.update("a", ["X"])
    clock.now = EXPIRY_S - 1
    interest.update("b", ["Y"])
    assert interest.symbols == {"X", "Y"}
    clock.now = EXPIRY_S
    assert interest.symbols == {"Y"}
