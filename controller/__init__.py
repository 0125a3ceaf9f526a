"""What to try next: one search algorithm a file, behind one protocol."""
