"""One policy a file, named as its user knows it. Import them from `agentguard`."""
