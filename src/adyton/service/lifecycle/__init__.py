"""When secrets end, what is told before, what is kept how long, and what holds keep for good."""
