"""Ray: one node of two processors."""

import logging

import measure
import ray


def main() -> None:
    ray.init(
        num_cpus=measure.SLOTS, include_dashboard=False, logging_level=logging.ERROR, _node_ip_address="127.0.0.1"
    )
    remote = ray.remote(measure.empty)
    trip = measure.round_trip_us(lambda: ray.get(remote.remote()), 500)

    def run_all(tasks: int) -> None:
        ray.get([remote.remote() for _ in range(tasks)])

    measure.row("Ray", trip, measure.tasks_per_second(run_all, 5000), ray.__version__)
    ray.shutdown()


if __name__ == "__main__":
    main()
