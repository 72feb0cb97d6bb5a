"""What the detection of personal data and secrets finds, misses and costs, beside its peers."""
