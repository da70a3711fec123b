//! Tasks that end well, and the worker's own life.

use super::*;

#[test]
fn a_task_returns_its_value() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        assert_eq!(worker.value_of("6 * 7").await, 42);
        assert_eq!(worker.value_of("$ENV{ARGON_WORKER} . $ENV{ARGON_ATTEMPT}").await, "test1");
        worker.end(1).await;
    });
}
