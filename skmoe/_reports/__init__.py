"""What a fitted mixture says of itself, in tables for people."""
