"""One packet costs like another, whatever its bytes: a small share of the grid of scripts/attacks/cost.py,
which scripts/attack runs whole."""

from itertools import product

import pytest

from attacks import cost

SIZES = (16_000, 64_000)
SETTINGS = ("default", "callid", "nat", "topos")
OFTEN = 17  # of that many patterns one is measured with --full
SELDOM = 4 * OFTEN
PATTERNS = {pattern.name: pattern for pattern in cost.patterns()}

# What took longest in version 0.1.0, compiled, in milliseconds at 64 kB.
WORST = {
    ("topos", "leaving request", "Record-Route: ;,"): 13_393,
    ("topos", "leaving request", "Via: ;,"): 6_830,
    ("topos", "leaving request", 'Record-Route: ",'): 2_983,
    ("default", "leaving response", "Call-Info: ;,"): 101,
    ("default", "leaving request", 'Refer-To: ",'): 55,
    ("nat", "leaving request", 'Via: ",'): 51,
    ("default", "leaving request", "body XML, words"): 28,
    ("default", "leaving request", "lengths of a body of SDP, texts"): 65,
    ("default", "leaving request", "lengths of a body of text, addresses"): 49,
    ("callid", "entering request", 'In-Reply-To: ",'): 13,
    ("callid", "leaving request", "lines From: <sip:#@$$>"): 47,
}


@pytest.fixture(scope="module")
def most() -> float:
    """Milliseconds that a packet may take, by what one of a call takes here and now."""
    return cost.MOST_RATIO * cost.call_packet()


@pytest.fixture(scope="module")
def gateways() -> dict[str, cost.Gateway]:
    return {setting: cost.Gateway(setting) for setting in SETTINGS}


def check(row: cost.Row, most: float) -> None:
    assert row.outcome not in ("error", "refused_error"), row
    assert row.most <= most, row
    assert not row.is_steep, row


@pytest.mark.parametrize("worst", WORST, ids=" ".join)
def test_what_took_longest(
    worst: tuple[str, str, str], most: float, gateways: dict[str, cost.Gateway]
) -> None:
    setting, direction, name = worst
    check(cost.measure(gateways[setting], PATTERNS[name], direction, cost.SIZES), most)


@pytest.mark.parametrize("often", [SELDOM, pytest.param(OFTEN, marks=pytest.mark.full)])
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_share_of_the_grid(
    setting: str, often: int, most: float, gateways: dict[str, cost.Gateway]
) -> None:
    offset = SETTINGS.index(setting)
    for pattern, direction in product(cost.patterns()[offset::often], cost.DIRECTIONS):
        quick, _ = cost.cost(gateways[setting], pattern, direction, SIZES[-1])
        if quick > most / 20:  # under that no exponent says anything
            check(cost.measure(gateways[setting], pattern, direction, SIZES), most)


def test_the_grid_is_as_large_as_it_says() -> None:
    assert len(PATTERNS) == len(cost.patterns())
    assert len(PATTERNS) * len(cost.DIRECTIONS) * len(cost.SETTINGS) >= 1500


def test_an_exponent_is_that_of_the_power_law() -> None:
    assert cost.exponent((1, 2, 4), (3, 12, 48)) == pytest.approx(2)
    steep = cost.Row("", "", "", (1.0, 4.0), 2.0, "")
    assert steep.is_steep
