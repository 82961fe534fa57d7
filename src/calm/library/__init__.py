"""For photographers: series, a plan of what to keep, and files that are linked, copied or moved by it."""
