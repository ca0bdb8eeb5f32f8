"""Numbers as people write them: what they say, how their digits lie, on which paper, and where each digit is."""
