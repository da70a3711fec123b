"""Dask distributed: a scheduler and two worker processes of one thread each."""

import dask.distributed
import measure


def main() -> None:
    version = dask.distributed.__version__
    with (
        dask.distributed.LocalCluster(
            n_workers=measure.SLOTS, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        dask.distributed.Client(cluster) as client,
    ):
        # Pure functions are not run again: each call says that it is not one.
        trip = measure.round_trip_us(lambda: client.submit(measure.empty, pure=False).result(), 200)

        def run_all(tasks: int) -> None:
            client.gather([client.submit(measure.empty, pure=False) for _ in range(tasks)])

        measure.row("Dask distributed", trip, measure.tasks_per_second(run_all, 3000), version)


if __name__ == "__main__":
    main()
