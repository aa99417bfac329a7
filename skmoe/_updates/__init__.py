"""Changes of a fitted mixture, by streams and experts that come and go; and drift of later rows."""

from .changes import add_expert, can_stream, partial_fit, remove_expert, replace_expert
from .drift import DriftMonitor, DriftReport
from .stream import Stream, StreamedExperts
