"""Training runs: presets, steps, the loop, and what it leaves on disk."""
