"""What ``fit`` will do: every "auto" is resolved here, once, from parameters and rows."""
