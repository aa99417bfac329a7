"""Tables about a fitted mixture, for people."""
