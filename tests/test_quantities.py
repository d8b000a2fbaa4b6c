"""What counts as a rate, a size, a weight."""

import math
import re
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from trio_allocator import quantities

LARGEST = quantities.MAX_BITRATE


@pytest.mark.invariant("I1", "A1")
@given(
    st.one_of(
        st.integers(0, LARGEST),
        st.floats(0, LARGEST),
        st.fractions(0, LARGEST),
    )
)
def test_a_usable_rate_is_floored_to_an_int(value):
    rate = quantities.bitrate("rate", value)
    assert type(rate) is int
    assert rate == math.floor(value)
    assert quantities.bitrate("rate", rate) == rate


@pytest.mark.invariant("I1")
@given(
    st.one_of(
        st.integers(max_value=-1),
        st.integers(LARGEST + 1),
        st.floats(max_value=-1e-300),
        st.floats(LARGEST + 1),
        st.sampled_from([math.nan, math.inf, -math.inf]),
        st.fractions(max_value=Fraction(-1, 10**30)),
        st.sampled_from([10**400, -(10**400), Fraction(10**400)]),
    )
)
def test_a_number_that_is_no_rate_is_a_value_error(value):
    with pytest.raises(ValueError, match="rate"):
        quantities.bitrate("rate", value)


@pytest.mark.invariant("I1")
@given(
    st.one_of(
        st.booleans(),
        st.none(),
        st.text(),
        st.binary(),
        st.decimals(),
        st.complex_numbers(),
        st.lists(st.integers()),
    )
)
def test_what_is_no_real_number_is_a_type_error(value):
    for check in (
        lambda: quantities.bitrate("rate", value),
        lambda: quantities.size("rate", value),
        lambda: quantities.positive("rate", value, "seconds"),
        lambda: quantities.share("rate", value),
    ):
        with pytest.raises(TypeError, match="rate"):
            check()


def test_half_a_bit_below_zero_is_negative():
    with pytest.raises(ValueError, match="negative"):
        quantities.bitrate("rate", -0.5)
    assert quantities.bitrate("rate", -0.0) == 0


def test_a_subclass_of_int_becomes_an_int():
    class Rate(IntEnum):
        LOW = 5

    assert type(quantities.bitrate("rate", Rate.LOW)) is int


@pytest.mark.invariant("I1")
def test_a_terabit_is_a_rate_and_sizes_have_their_own_bound():
    assert quantities.bitrate("rate", 10**12) == 10**12
    assert quantities.size("size", quantities.MAX_SIZE) == quantities.MAX_SIZE
    with pytest.raises(ValueError, match="bytes"):
        quantities.size("size", quantities.MAX_SIZE + 1)


@given(st.one_of(st.integers(1, 10**300), st.floats(5e-324, 1.7e308), st.fractions(1, 10**6)))
def test_a_weight_is_a_float_above_zero(value):
    assert type(quantities.positive("weight", value, "relative to 1")) is float


@pytest.mark.invariant("I1")
@pytest.mark.parametrize("value", [0, -1, 0.0, -math.inf, math.nan, 10**400, Fraction(1, 10**400)])
@pytest.mark.parametrize("infinite", [True, False])
def test_what_is_not_above_zero_is_no_weight(value, infinite):
    with pytest.raises(ValueError, match="weight"):
        quantities.positive("weight", value, "relative to 1", infinite=infinite)


def test_infinity_only_where_it_means_something():
    assert quantities.positive("time", math.inf, "seconds", infinite=True) == math.inf
    with pytest.raises(ValueError, match="finite"):
        quantities.positive("time", math.inf, "seconds")


@pytest.mark.invariant("I1")
def test_a_share_is_a_float_from_nothing_to_all():
    for value in (0, 1, 0.5, Fraction(1, 3)):
        assert type(quantities.share("share", value)) is float
    for value in (-0.01, 1.01, math.nan, math.inf, 10**400):
        with pytest.raises(ValueError, match="share must be from 0 to 1"):
            quantities.share("share", value)
    for other in (True, None, "1"):
        with pytest.raises(TypeError, match="share"):
            quantities.share("share", other)


@pytest.mark.invariant("I1")
@pytest.mark.parametrize("value", [0, 1, None, "yes", math.nan, Decimal(1)])
def test_a_flag_is_a_bool(value):
    assert quantities.flag("flag", True) is True
    with pytest.raises(TypeError, match="flag"):
        quantities.flag("flag", value)


@pytest.mark.invariant("I1")
def test_a_whole_number_is_an_int_within_its_bounds():
    assert quantities.whole_number("priority", 255, 0, 255) == 255
    for value in (-1, 256):
        with pytest.raises(ValueError, match="priority"):
            quantities.whole_number("priority", value, 0, 255)
    for other in (True, 1.0, "1", None):
        with pytest.raises(TypeError, match="priority"):
            quantities.whole_number("priority", other, 0, 255)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("capp", "there is no limit 'capp': did you mean 'cap'? there are cap, floor, rate"),
        ("rat", "there is no limit 'rat': did you mean 'rate'? there are cap, floor, rate"),
        ("xyz", "there is no limit 'xyz'; there are cap, floor, rate"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, complaint):
    with pytest.raises(TypeError, match=re.escape(complaint)):
        quantities.known_names("limit", [name], {"cap": 1, "floor": 2}, beside=["rate"])
