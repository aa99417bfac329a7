"""Where rows live, and how they are reduced to sums."""
