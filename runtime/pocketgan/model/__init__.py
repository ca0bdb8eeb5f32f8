"""A model file: checked in one place before anything is made of it."""
