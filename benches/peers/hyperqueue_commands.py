"""HyperQueue: a server and a worker of two processors that run `true`."""

import importlib.metadata
import os
import tempfile
import time

import measure
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig


def seconds_for(client, tasks: int) -> float:
    job = Job()
    for _ in range(tasks):
        job.program(["/bin/true"])
    begun = time.perf_counter()
    client.wait_for_jobs([client.submit(job)])
    return time.perf_counter() - begun


def main() -> None:
    # It writes files of each command's output where it is started.
    os.chdir(tempfile.mkdtemp())
    with LocalCluster() as cluster:
        cluster.start_worker(WorkerConfig(cores=measure.SLOTS))
        client = cluster.client()
        seconds_for(client, 20)
        tasks = 2000
        version = importlib.metadata.version("hyperqueue")
        # Its Python client asks once a second whether a task has ended, which is no round trip.
        measure.row("HyperQueue, commands", None, tasks / seconds_for(client, tasks), version)


if __name__ == "__main__":
    main()
