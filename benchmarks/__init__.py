"""What agentguard costs, measured beside its peers: `python -m benchmarks [names]`."""
