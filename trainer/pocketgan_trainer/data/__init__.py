"""The digits that the trainer learns from: where they come from, and that they are what they claim to be."""
