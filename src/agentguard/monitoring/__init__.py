"""What Prometheus and Grafana need to watch guards: made of the one definition of the metrics."""

from __future__ import annotations
