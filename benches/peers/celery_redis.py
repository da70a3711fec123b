"""Celery with Redis as broker and as store of results; a worker of two processes."""

import os
import socket
import subprocess
import sys
import tempfile
import time

import celery
import measure

app = celery.Celery("celery_redis", broker=os.environ.get("PEER_REDIS"), backend=os.environ.get("PEER_REDIS"))


@app.task
def empty() -> None:
    """The task: nothing."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("redis-server did not come up within 10 s")


def main() -> None:
    port = free_port()
    os.environ["PEER_REDIS"] = url = f"redis://127.0.0.1:{port}/0"
    app.conf.update(broker_url=url, result_backend=url)
    with tempfile.TemporaryDirectory() as folder:
        redis = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        wait_for_port(port)
        command = [sys.executable, "-m", "celery", "-A", "celery_redis", "worker", "-c", str(measure.SLOTS)]
        command += ["--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--prefetch-multiplier", "64"]
        worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            task = app.tasks["celery_redis.empty"]
            task.delay().get(timeout=60)
            trip = measure.round_trip_us(lambda: task.delay().get(timeout=60), 500)

            def run_all(tasks: int) -> None:
                for result in [task.delay() for _ in range(tasks)]:
                    result.get(timeout=60)

            measure.row("Celery on Redis", trip, measure.tasks_per_second(run_all, 3000), celery.__version__)
        finally:
            for process in (worker, redis):
                process.terminate()
                process.wait(30)


if __name__ == "__main__":
    # As a module of this name, so that the worker finds the task under the name that the client uses.
    import celery_redis

    celery_redis.main()
