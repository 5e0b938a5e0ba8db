from lean_lite.feeds.interest import EXPIRY_S, ClientInterest


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_last_word_of_each_client_counts() -> None:
    wishes = ClientInterest()
    wishes.update("a", ["X", "Y"])
    wishes.update("b", ["Y", "Z"])
    assert wishes.symbols == {"X", "Y", "Z"}
    wishes.update("a", ["X"])
    assert wishes.symbols == {"X", "Y", "Z"}
    wishes.update("b", [])
    assert wishes.symbols == {"X"}


def test_a_silent_client_is_forgotten() -> None:
    clock = Clock()
    wishes = ClientInterest(clock=clock)
    wishes.update("a", ["X"])
    clock.now = EXPIRY_S - 1
    wishes.update("b", ["Y"])
    assert wishes.symbols == {"X", "Y"}
    clock.now = EXPIRY_S
    assert wishes.symbols == {"Y"}
