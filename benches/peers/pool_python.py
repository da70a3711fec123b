"""Python's own pool of processes on one machine."""

from concurrent.futures import ProcessPoolExecutor

import measure


def main() -> None:
    with ProcessPoolExecutor(measure.SLOTS) as pool:
        trip = measure.round_trip_us(lambda: pool.submit(measure.empty).result(), 2000)

        def run_all(tasks: int) -> None:
            for future in [pool.submit(measure.empty) for _ in range(tasks)]:
                future.result()

        measure.row("ProcessPoolExecutor", trip, measure.tasks_per_second(run_all, 20_000), "no network")


if __name__ == "__main__":
    main()
