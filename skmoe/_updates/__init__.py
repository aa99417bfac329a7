"""Changes of a fitted mixture, by streams and experts that come and go."""

from .changes import add_expert, can_stream, partial_fit, remove_expert
from .stream import Stream, StreamedExperts
