"""Images and labels from everywhere they may lie: read with suspicion, fitted to one size, checked and described."""
