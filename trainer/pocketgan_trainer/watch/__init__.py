"""Watching a run: what its images and its discriminator are like after an epoch, signs that it goes wrong, and curves."""
