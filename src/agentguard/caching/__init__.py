"""What `cache(...)` decides with."""
