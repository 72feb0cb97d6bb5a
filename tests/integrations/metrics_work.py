"""A Celery app whose tasks are counted by all of a worker's processes together."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_shutdown
from prometheus_client.multiprocess import mark_process_dead

import agentguard as ag
from tests.integrations.metrics_app import one_of_each

BROKER = os.environ["CELERY_BROKER"]

app = Celery("metrics_work", broker=BROKER, backend=BROKER)
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)


@app.task
def work() -> str:
    """Call what is guarded."""
    return one_of_each()


@worker_process_shutdown.connect
def ends(pid: int, **_: Any) -> None:
    """Count what waits, and let nothing of this process stay in flight."""
    ag.flush()
    mark_process_dead(pid)
