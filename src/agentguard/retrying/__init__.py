"""What `retry` decides with: back-off, tenacity's strategies, and the retry budget."""
