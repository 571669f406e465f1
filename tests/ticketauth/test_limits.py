"""How many, how fast."""

import pytest

from ticketauth.exceptions import Misconfigured
from ticketauth.limits import Allowance, Rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [("0", None), ("1/s", Rate(1, 1)), ("60/min", Rate(60, 60)), ("999999999/hour", Rate(999999999, 3600))],
)
def test_a_rate(text: str, rate: Rate | None) -> None:
    assert Rate.parse("RATE", text) == rate


@pytest.mark.parametrize("text", ["", "0/min", "-1/min", "1", "1/day", "1/ min", "１/min", "1.5/s", "1/min ", "off"])
def test_what_is_no_rate_names_itself(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"RATE_PER_USER is .*60/min"):
        Rate.parse("RATE_PER_USER", text)


class TestAllowance:
    def test_so_many_in_a_window_and_again_in_the_next(self) -> None:
        now = [0.0]
        allowance = Allowance(lambda: now[0])
        assert [allowance.take("a", Rate(2, 60)) for _ in range(3)] == [True, True, False]
        assert allowance.take("b", Rate(2, 60))
        now[0] = 60
        assert allowance.take("a", Rate(2, 60))

    def test_without_a_rate_always(self) -> None:
        assert all(Allowance().take("a", None) for _ in range(1000))

    def test_memory_is_bounded(self) -> None:
        allowance = Allowance(lambda: 0.0, keys=2)
        assert [allowance.take(str(number), Rate(1, 60)) for number in range(3)] == [True, True, False]
