//! One rule for the working folder: that of the caller if the worker has it, else the worker's own.

use std::process::Command;
use std::time::Duration;

use argon_tests::{Cluster, Finished};

const SOON: Duration = Duration::from_secs(120);

/// Folder of the workers of a cluster.
fn own_folder() -> String {
    std::env::current_dir().unwrap().display().to_string()
}

/// What `script` prints in the shell, where `$ARGON` is the program and `$MANAGER` the address.
fn shell(cluster: &mut Cluster, script: &str) -> Finished {
    let argon = cluster.argon(&[]);
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(cluster.folder());
    command.envs(argon.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
        .env("ARGON", argon.get_program())
        .env("ARGON_MANAGER", cluster.address())
        .env("ARGON_KEY", cluster.key());
    cluster.run(command, "shell").finish(SOON)
}

// kind: the caller's environment | functions and commands with relative paths | right | they start in the caller's
//    folder if the worker has it, else in its own, and a command that is not there names worker and folder
#[test]
fn functions_and_commands_start_in_the_folder_of_the_caller() {
    let mut cluster = Cluster::with_workers(&[1]);
    let here = cluster.folder().display().to_string();
    let program = "use Cwd; my $f = sub { require Cwd; Cwd::getcwd() }; print $client->queue($f), qq(\\n);
        $client->queue(sub { chdir '/' }); print $client->queue($f), qq(\\n);
        chdir '/'; print $client->queue($f), qq(\\n); print $client->queue('Cwd::getcwd'), qq(\\n);";
    assert_eq!(cluster.perl(program), format!("{here}\n").repeat(4));
    let run = shell(
        &mut cluster,
        "$ARGON run -n -- pwd; $ARGON run -n -- ./gone/tool; mkdir sub; $ARGON run -n --cwd sub -- pwd",
    );
    assert_eq!(run.stdout, format!("{here}\n{here}/sub\n"));
    let missing = format!("there is no command './gone/tool' in the folder {here} of worker");
    assert!(run.stderr.contains(&missing), "{}", run.stderr);
}

// kind: sentences for mistakes | a Perl sub that opens a missing file | right | it names folder and worker, unless
//    the path is absolute or the sub says nothing of it
#[test]
fn an_error_of_perl_about_a_relative_path_names_worker_and_folder() {
    let mut cluster = Cluster::with_workers(&[1]);
    let here = cluster.folder().display().to_string();
    let program = "my $open = sub { open my $in, '<', $_[0] or die qq(cannot read $_[0]: $!); 1 };
        for my $path ('data.csv', '/nowhere/data.csv') {
            eval { $client->queue($open, [$path]); 1 } or print $@;
        }
        eval { $client->queue(sub { die qq(no data\\n) }); 1 } or print $@;";
    let printed = cluster.perl(program);
    let lines: Vec<&str> = printed.lines().collect();
    let [relative, absolute, other] = lines[..] else { panic!("{printed}") };
    let begin = format!("cannot read data.csv: No such file or directory in the folder {here} of worker ");
    assert!(relative.starts_with(&begin) && relative.contains(" at "), "{relative}");
    assert!(
        absolute.starts_with("cannot read /nowhere/data.csv: No such file or directory at "),
        "{absolute}"
    );
    assert_eq!(other, "no data");
}

#[test]
fn where_the_folder_of_the_caller_is_not_tasks_start_in_the_workers_own() {
    let mut cluster = Cluster::start();
    let script = "mkdir gone; cd gone; $ARGON submit -- pwd; $ARGON submit -- ./tool; $ARGON submit --cwd . -- pwd; rmdir ../gone";
    let submitted = shell(&mut cluster, script);
    cluster.add_worker(&["--slots", "1"]);
    let own = own_folder();
    let tickets: Vec<&str> = submitted.stdout.lines().collect();
    let [pwd, tool, strict] = tickets[..] else { panic!("{}", submitted.stderr) };
    assert_eq!(shell(&mut cluster, &format!("$ARGON collect {pwd}")).stdout, format!("{own}\n"));
    let missing = shell(&mut cluster, &format!("$ARGON collect {tool}"));
    let gone = cluster.folder().join("gone").display().to_string();
    assert_eq!(missing.status.code(), Some(127));
    let sentence = format!("'./tool' in the own folder of a worker without {gone}");
    assert!(missing.stderr.contains(&sentence), "{}", missing.stderr);
    // A folder that was asked for must be there.
    let refused = shell(&mut cluster, &format!("$ARGON collect {strict}"));
    assert_eq!(refused.status.code(), Some(126));
    assert!(refused.stderr.contains("cannot start in the folder"), "{}", refused.stderr);
    let program = "use Cwd; mkdir 'gone'; chdir 'gone'; my ($host, $port) = split /:/, $ENV{AT};
        my $other = Argon::Client->new(host => $host, port => $port, key => $ENV{KEY}); rmdir '../gone';
        print $other->queue(sub { Cwd::getcwd() })";
    let program = program
        .replace("$ENV{AT}", &format!("'{}'", cluster.address()))
        .replace("$ENV{KEY}", &format!("'{}'", cluster.key().display()));
    assert_eq!(cluster.perl(&program), own);
}
