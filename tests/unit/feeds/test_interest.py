from lean_lite.feeds.interest import FORGET_S, Wishes


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_last_word_of_each_client_counts() -> None:
    wishes = Wishes()
    wishes.hear("a", ["X", "Y"])
    wishes.hear("b", ["Y", "Z"])
    assert wishes.symbols == {"X", "Y", "Z"}
    wishes.hear("a", ["X"])
    assert wishes.symbols == {"X", "Y", "Z"}
    wishes.hear("b", [])
    assert wishes.symbols == {"X"}


def test_a_silent_client_is_forgotten() -> None:
    clock = Clock()
    wishes = Wishes(clock=clock)
    wishes.hear("a", ["X"])
    clock.now = FORGET_S - 1
    wishes.hear("b", ["Y"])
    assert wishes.symbols == {"X", "Y"}
    clock.now = FORGET_S
    assert wishes.symbols == {"Y"}
