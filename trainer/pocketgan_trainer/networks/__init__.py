"""The generators and discriminators, as plain modules."""
