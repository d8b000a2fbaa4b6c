"""Options that several measurements have in common."""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from tests.sfu.pages import RATES


def load_parser(name: str, description: str | None, *, seconds: float) -> argparse.ArgumentParser:
    """For what is sent to many subscribers.

    Args:
        name: Of the module below `tests.sfu`.
        description: Of what it measures.
        seconds: How long it measures, unless told otherwise.
    """
    parser = _parser(name, description)
    parser.add_argument("--subscribers", type=int, default=10, help="how many; 10")
    parser.add_argument("--rate", type=int, default=1_250_000, help="of the video, bit/s; 1250000")
    parser.add_argument("--fps", type=float, default=30.0, help="pictures a second; 30")
    parser.add_argument("--settle", type=float, default=5.0, help="s before it is measured; 5")
    parser.add_argument(
        "--seconds", type=float, default=seconds, help=f"s that are measured; {seconds:g}"
    )
    return parser


def link_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """For one subscriber behind a link; see `load_parser`."""
    parser = layers_parser(name, description)
    parser.add_argument("--seconds", type=float, default=25.0, help="how long each is; 25")
    parser.add_argument("--constant", type=float, help="bit/s of a link that does not change")
    return parser


def layers_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """For cameras in layers; see `load_parser`."""
    parser = _parser(name, description)
    parser.add_argument(
        "--layers",
        type=_layers,
        default=RATES,
        metavar="RATE,RATE,RATE",
        help=f"what the three layers take, bit/s; {','.join(map(str, RATES.values()))}",
    )
    return parser


def need(parser: argparse.ArgumentParser, module: str) -> None:
    """End with the cure where a part of the extra `acceptance` is not installed."""
    if find_spec(module) is None:
        parser.error(f"{module} is not installed: pip install -e '.[acceptance]'")


def _parser(name: str, description: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"python -m tests.sfu.{name}", description=description)


def _layers(text: str) -> dict[str, int]:
    rates = text.split(",")
    if len(rates) != len(RATES) or not all(rate.isdecimal() for rate in rates):
        raise argparse.ArgumentTypeError(f"must be three rates, bit/s, not {text!r}")
    return dict(zip(RATES, map(int, rates), strict=True))
