//! `argon drain`: let a worker finish and leave.

use std::time::Duration;

use argon_net::Trust;
use argon_proto::conversation::admin::{ManagerStatus, Question, WorkerDrains};
use argon_proto::key::{Key, Role};
use clap::Args;

use super::options::{KeyOption, ManagerOption, TrustOption};
use super::quantity::{millis, time};
use crate::exit::{Failure, FailureKind};
use crate::key_file;
use crate::net::ask::{ask, unreadable};
use crate::output::{complain, print_line, printable};

/// Pause between two looks at what a draining worker still runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Time within which workers return to a restarted manager.
const BACK_WITHIN: Duration = Duration::from_secs(15);

/// Let a worker finish its running tasks, return the others, and leave.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon drain workerhost:8001
  argon drain --wait workerhost:8001 && ssh workerhost reboot
  argon drain --within 10m workerhost:8001
  argon drain --manager mgrhost:8000 workerhost:8001

Tasks that wait at the worker start elsewhere. Running tasks have as long as they need; when the
last has ended, the worker ends with status 0. No task fails for this reason. --within sets a limit:
tasks that run longer are killed and start again on another worker; a task that must never run twice
ends as lost. The worker of 'argon up' leaves too, and the manager in its process continues. You can
drain a worker again; the earlier limit counts.")]
pub(super) struct DrainArguments {
    /// The worker's name, as 'argon status' shows it, or its id
    worker: String,
    /// Kill tasks that still run after this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    within: Option<Duration>,
    /// Wait until the worker has left, and print how many tasks it still has
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    manager: ManagerOption,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    trust: TrustOption,
    /// Print the answer as one line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &DrainArguments) -> Result<(), Failure> {
    let address = arguments.manager.address("drain", &arguments.key)?;
    let found = key_file::find_for(arguments.key.key.as_deref(), &[Role::Admin, Role::Client], address)?;
    let trust = arguments.trust.trust()?;
    super::block_on(async {
        // Before the worker drains: a manager that is restarted right after that has to be known as another one.
        let managers = match arguments.wait {
            true => Some(Managers::new(&look(address, &found.key, &trust).await?)),
            false => None,
        };
        let within_ms = arguments.within.map(millis);
        let question = Question::Drain { worker: arguments.worker.clone(), within_ms };
        let reply = ask(address, &found.key, &trust, Role::Admin, &question).await?;
        let drains: WorkerDrains = reply.read().map_err(|error| unreadable(&error))?;
        if arguments.json {
            print_line(reply.into_json())?;
        } else {
            print_line(printable(&for_people(&arguments.worker, arguments.within, &drains)))?;
        }
        match managers {
            Some(managers) => wait(address, &found.key, &trust, &drains, managers).await,
            None => Ok(()),
        }
    })
}

fn for_people(worker: &str, within: Option<Duration>, drains: &WorkerDrains) -> String {
    let held = match drains.held {
        0 => "it holds no task and leaves now".to_owned(),
        1 => "it leaves when the task that it holds has ended".to_owned(),
        held => format!("it leaves when the {held} that it holds have ended or were given back"),
    };
    let limit = within.map(|time| {
        let seconds = time.as_secs_f64();
        format!(
            "; what still runs in {seconds} s is killed and starts elsewhere, or ends as lost if it must never run twice"
        )
    });
    let more = if drains.was_draining { "; it was draining already" } else { "" };
    let stays = if drains.keeps_manager { "; the manager in its process goes on" } else { "" };
    format!("worker {worker} takes no more tasks; {held}{}{more}{stays}", limit.unwrap_or_default())
}

/// Returns when the manager no longer lists the worker. Waits for a manager that is away, because the worker continues
/// without it, and ignores the list of a manager that has just restarted until the worker was in it.
async fn wait(
    address: &str,
    key: &Key,
    trust: &Trust,
    drains: &WorkerDrains,
    mut managers: Managers,
) -> Result<(), Failure> {
    let name = &drains.name;
    let (mut last, mut is_away) = (Some(drains.held), false);
    loop {
        match look(address, key, trust).await {
            Ok(status) => {
                is_away = false;
                let may_come_back = managers.may_lack_workers(&status);
                let mut workers = status.scheduler.worker_list.iter();
                if let Some(worker) = workers.find(|worker| worker.worker == drains.worker) {
                    managers.has_worker();
                    if last != Some(worker.held) {
                        complain(format_args!("worker {name} still holds {}", worker.held));
                    }
                    last = Some(worker.held);
                } else if !may_come_back {
                    complain(format_args!("worker {name} has left"));
                    return Ok(());
                }
            }
            Err(failure) if failure.kind() == FailureKind::Reach => {
                if !is_away {
                    complain(format_args!("waiting: {failure}"));
                }
                // What the worker holds is reported again when it is back.
                (is_away, last) = (true, None);
            }
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(address: &str, key: &Key, trust: &Trust) -> Result<ManagerStatus, Failure> {
    let reply = ask(address, key, trust, Role::Admin, &Question::Status).await?;
    reply.read().map_err(|error| unreadable(&error))
}

/// Notices that the manager was restarted.
struct Managers {
    /// Process number and uptime in seconds of the last one.
    last: (u32, u64),
    /// The last one began after the worker was drained, and has not listed it so far.
    lacks_worker: bool,
}

impl Managers {
    fn new(status: &ManagerStatus) -> Self {
        Self { last: (status.pid, status.uptime_s), lacks_worker: false }
    }

    /// True if this is another manager than the first one, too young for its workers to be back.
    fn may_lack_workers(&mut self, status: &ManagerStatus) -> bool {
        let (pid, uptime_s) = self.last;
        self.lacks_worker |= pid != status.pid || status.uptime_s < uptime_s;
        self.last = (status.pid, status.uptime_s);
        self.lacks_worker && Duration::from_secs(status.uptime_s) < BACK_WITHIN
    }

    /// The manager lists the worker: from now on, a list without it means that it has left.
    fn has_worker(&mut self) {
        self.lacks_worker = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_a_restarted_manager_does_not_know_yet_has_not_left() {
        let status = |pid: u32, uptime_s: u64| ManagerStatus { pid, uptime_s, ..ManagerStatus::default() };
        let mut managers = Managers::new(&status(1, 0));
        assert!(!managers.may_lack_workers(&status(1, 0)), "the one that was asked");
        assert!(!managers.may_lack_workers(&status(1, 9)));
        assert!(managers.may_lack_workers(&status(1, 2)), "another one of the same number, as in containers");
        assert!(managers.may_lack_workers(&status(1, 14)));
        assert!(!managers.may_lack_workers(&status(1, 15)), "it had its time");
        assert!(managers.may_lack_workers(&status(2, 15 - 1)));
        managers.has_worker();
        assert!(!managers.may_lack_workers(&status(2, 15 - 1)), "it was back and has left");
        assert!(managers.may_lack_workers(&status(3, 0)), "the next one");
    }

    #[test]
    fn what_becomes_of_running_tasks_is_told_before_it_happens() {
        let four = WorkerDrains { held: 4, ..WorkerDrains::default() };
        assert_eq!(
            for_people("box:1", None, &four),
            "worker box:1 takes no more tasks; it leaves when the 4 that it holds have ended or were given back"
        );
        let one = WorkerDrains { held: 1, keeps_manager: true, ..WorkerDrains::default() };
        let told = for_people("box:1", Some(Duration::from_secs(30)), &one);
        assert!(told.contains("what still runs in 30 s is killed"), "{told}");
        assert!(
            told.contains("never run twice") && told.ends_with("the manager in its process goes on"),
            "{told}"
        );
    }
}
