"""What flows of ours send, and what befalls the link besides its schedule."""

from __future__ import annotations

from attrs import field, frozen

from ...tracks import Track
from ..asked import Asked
from .frames import Media


@frozen
class Setup:
    """The same for all runs of a link test.

    Attributes:
        tracks: What a flow of ours sends.
        asked: How its allocator and its receivers are set up.
        media: What its cameras film.
        impairments: What befalls packets and reports of all flows, by name.
    """

    tracks: tuple[Track, ...]
    asked: Asked = field(factory=Asked)
    media: Media = Media.SMOOTH
    impairments: str = ""
