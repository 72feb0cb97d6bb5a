"""What a request, an answer, a chunk and a failure look like at each provider.

Everything is recognised by names and attributes; no SDK is imported here or below.
"""
