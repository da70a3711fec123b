//! The options of GNU parallel by their spellings, and what Argon does with each. `docs/guide/coming-from-parallel.md`
//! shows the same list.

/// What is done with an option that Argon has under none of its names.
#[derive(Debug)]
pub(super) enum HabitAnswer {
    /// Argon has it by one of its names.
    Same,
    /// These options stand for it.
    As(&'static [&'static str]),
    /// This option stands for it, and takes its value.
    Value(&'static str),
    /// This option stands for it; its value may be missing, and is then this one.
    Maybe(&'static str, Option<&'static str>),
    /// It changes nothing here.
    Drop,
    /// The sentence says what to do instead.
    Refuse(&'static str),
}

use HabitAnswer::{As, Drop, Maybe, Refuse, Same, Value};

const SSH: &str = "the machines are the workers of the pool; 'argon up' starts one here, and the line 'argon join …' that a \
                   manager prints adds another machine";
const GROUPS: &str =
    "every worker of the pool takes every command; for some machines only, start a manager of their own";
const RECORDS: &str = "--pipe cuts standard input into blocks of --block bytes or -N records, each for the next free command; \
                       sort or split by value in the command before it";
const CPUS: &str = "a worker has a slot for each CPU; 'argon worker --slots COUNT' sets another number";
const SHOWN: &str =
    "'argon status' shows the workers and their slots, and nproc counts the CPUs of this machine";
const SEMAPHORE: &str = "a pool runs as many commands at once as its workers have slots ('argon worker --slots COUNT'); for a lock in a script \
     use flock FILE COMMAND";
const SQL: &str = "outcomes are not kept in a database; --joblog FILE has a line for each command, and --results FOLDER \
                   its output";
const COLOUR: &str = "output is not coloured; --tag puts the input before each line";
const RETIRED: &str = "GNU parallel itself has given this option up; leave it out";
const TMUX: &str =
    "commands run on workers, not in windows here; --tag --line-buffer shows their lines as they come";
const COMPRESS: &str =
    "output that waits is kept uncompressed in a file without a name; TMPDIR names its folder";
const MEMFREE: &str =
    "each worker decides what its machine can bear; start it with 'argon worker --memfree SIZE'";
const LOAD: &str =
    "each worker decides what its machine can bear; start it with 'argon worker --load LOAD', such as 80%";
const LIMIT: &str =
    "each worker decides what its machine can bear; 'argon worker' has the options --memfree and --load";

/// Spellings, letters among them, and the answer.
pub(super) const TABLE: &[(&str, HabitAnswer)] = &[
    // Inputs
    ("arg-file argfile a", Same),
    ("null 0", Same),
    ("csv", Same),
    ("delimiter d", Same),
    ("colsep col-sep C", Same),
    ("header", Same),
    ("skip-first-line skipfirstline", Same),
    ("trim", Same),
    ("no-run-if-empty norunifempty r", Same),
    ("E", Value("--eof")),
    ("eof e", Maybe("--eof=", None)),
    ("arg-sep argsep", Same),
    ("arg-file-sep argfilesep", Same),
    ("link xapply", Same),
    (
        "linkinputsource xapplyinputsource",
        Refuse("pair a source with the one before it by ':::+' or '::::+'"),
    ),
    ("shuf", Same),
    ("max-args maxargs n", Same),
    ("max-replace-args maxreplaceargs N", Value("-N")),
    ("L", Value("-N")),
    ("max-lines maxlines l", Maybe("-N", Some("1"))),
    ("X", Same),
    ("m", Same),
    ("xargs", Same),
    ("max-chars maxchars s", Same),
    ("exit x", Drop),
    ("total-jobs totaljobs total", Same),
    // Placeholders and the command
    ("I", Same),
    ("replace i", Maybe("-I", Some("{}"))),
    ("plus", Same),
    ("rpl", Same),
    ("parens", Same),
    ("extensionreplace er", Value("--placeholder={.}=")),
    ("basenamereplace bnr", Value("--placeholder={/}=")),
    ("dirnamereplace dnr", Value("--placeholder={//}=")),
    ("basenameextensionreplace bner", Value("--placeholder={/.}=")),
    ("seqreplace", Value("--placeholder={#}=")),
    ("slotreplace", Value("--placeholder={%}=")),
    (
        "process-slot-var processslotvar",
        Refuse("write the number where it belongs: argon map 'NAME={%} command {}'"),
    ),
    ("quote q", Same),
    ("shell-quote shellquote shell_quote", Refuse("--dry-run prints each command quoted for a shell")),
    (
        "template tmpl",
        Refuse(
            "no files are filled in; fill one in the command: argon map 'sed s/X/\"{}\"/ TEMPLATE >{}.conf'",
        ),
    ),
    (
        "filter",
        Refuse("an input would become code; leave inputs out with {= PERL and skip() =} in the command"),
    ),
    // Output
    ("keep-order keeporder k", Same),
    ("no-keep-order nokeeporder nok no-k", Same),
    ("group", Drop),
    ("ungroup u", Same),
    ("line-buffer line-buffered linebuffer linebuffered lb", Same),
    (
        "latest-line latestline ll",
        Refuse("lines do not replace each other; --line-buffer prints each as it comes"),
    ),
    ("tag", Same),
    ("tagstring tag-string", Same),
    ("ctag", Refuse(COLOUR)),
    ("ctag-string ctagstring", Refuse(COLOUR)),
    ("color colour", Refuse(COLOUR)),
    (
        "color-failed colour-failed colorfailed colourfailed color-fail colour-fail colorfail colourfail cf",
        Refuse(COLOUR),
    ),
    ("tmux", Refuse(TMUX)),
    ("tmux-pane tmuxpane", Refuse(TMUX)),
    ("v", Same),
    ("verbose t", Same),
    ("silent", Drop),
    ("interactive p", Refuse("nothing asks before each command; look at all of them with --dry-run first")),
    ("dry-run dryrun dr", Same),
    ("progress", Same),
    ("eta", Same),
    ("bar", Same),
    ("results result res", Same),
    (
        "output-as-files outputasfiles files",
        Refuse("--results FOLDER keeps the output in files, in folders named after the inputs"),
    ),
    ("compress", Refuse(COMPRESS)),
    ("use-compress-program compress-program usecompressprogram compressprogram", Refuse(COMPRESS)),
    ("use-decompress-program decompress-program usedecompressprogram decompressprogram", Refuse(COMPRESS)),
    ("tmpdir tempdir", Refuse("the variable TMPDIR names the folder: TMPDIR=/big argon map …")),
    // Flow
    ("jobs j max-procs maxprocs P", Same),
    ("delay", Same),
    ("halt halt-on-error haltonerror", Same),
    ("joblog jl", Same),
    ("resume", Same),
    ("retry-failed retryfailed", Same),
    ("resume-failed resumefailed", As(&["--resume", "--retry-failed"])),
    ("retries", Same),
    ("timeout", Same),
    ("term-seq termseq", Refuse("a command that is ended gets TERM, and KILL two seconds later")),
    ("env", Same),
    ("wd work-dir workdir cwd", Same),
    ("nice", Same),
    ("load", Refuse(LOAD)),
    ("noswap", Refuse(LIMIT)),
    ("memfree", Refuse(MEMFREE)),
    ("memsuspend", Refuse(LIMIT)),
    ("limit", Refuse(LIMIT)),
    // Machines and files
    ("sshlogin S", Refuse(SSH)),
    ("sshloginfile slf", Refuse(SSH)),
    ("controlmaster M", Refuse(SSH)),
    ("ssh", Refuse(SSH)),
    ("ssh-delay sshdelay", Refuse(SSH)),
    (
        "filter-hosts filterhosts filter-host",
        Refuse("a machine that is down is not in the pool: argon status"),
    ),
    ("onall", Refuse("a command runs on the worker that is free; no option runs it on each of them")),
    ("nonall", Refuse("a command runs on the worker that is free; no option runs it on each of them")),
    ("hostgroups hgrp hostgrp hostgroup", Refuse(GROUPS)),
    ("transferfile transfer-file transfer-files transferfiles tf", Same),
    ("return", Same),
    ("trc", Same),
    ("transfer", Same),
    ("cleanup", Same),
    ("basefile bf", Same),
    ("rsync-opts rsyncopts", Refuse("files do not travel by rsync; leave the option out")),
    // Standard input in blocks
    ("pipe spreadstdin", Same),
    ("pipe-part pipepart", Same),
    ("block block-size blocksize", Same),
    (
        "block-timeout blocktimeout bt",
        Refuse("a block waits until it is full or the input ends; -N 1 hands out each record as it comes"),
    ),
    ("recstart", Same),
    ("recend", Same),
    (
        "regexp regex",
        Refuse("--recstart and --recend are texts, such as --recend '\\n\\n'; mark records with sed first"),
    ),
    (
        "remove-rec-sep removerecsep rrs",
        Refuse(
            "a block keeps its separators; take them off in the command: argon map --pipe 'tr -d X | COMMAND'",
        ),
    ),
    ("round-robin roundrobin round", Same),
    ("cat", Same),
    ("fifo", Same),
    (
        "tee",
        Refuse("to give one file to several commands, name it in each: argon map 'COMMAND {} <FILE' ::: …"),
    ),
    ("shard", Refuse(RECORDS)),
    ("bin", Refuse(RECORDS)),
    ("group-by groupby", Refuse(RECORDS)),
    // Databases
    ("sql", Refuse(SQL)),
    ("sql-master sqlmaster", Refuse(SQL)),
    ("sql-worker sqlworker", Refuse(SQL)),
    ("sql-and-worker sqlandworker", Refuse(SQL)),
    // Semaphore
    ("semaphore", Refuse(SEMAPHORE)),
    ("semaphore-timeout semaphoretimeout st", Refuse(SEMAPHORE)),
    ("semaphore-name semaphorename id", Refuse(SEMAPHORE)),
    ("fg", Refuse(SEMAPHORE)),
    ("bg", Refuse("to leave a command to the pool, run argon submit -- COMMAND")),
    (
        "wait",
        Refuse("argon map waits by itself; what argon submit has started is awaited by argon collect TICKET"),
    ),
    // About parallel itself
    ("gnu", Drop),
    ("plain", Drop),
    ("no-notice will-cite willcite nn nonotice", Drop),
    (
        "citation bibtex",
        Refuse("Argon asks for no citation; 'parallel --citation' shows that of GNU parallel"),
    ),
    (
        "profile J",
        Refuse(
            "options are not read from files; put them into an alias of your shell: alias amap='argon map -k'",
        ),
    ),
    ("tollef", Refuse("write ':::' before the inputs instead")),
    ("record-env recordenv", Refuse("no environment is copied; name each variable with --env NAME")),
    ("session", Refuse("no environment is copied; name each variable with --env NAME")),
    ("embed", Refuse("a script that uses argon needs the program: one file, without anything else")),
    ("shebang shebang-wrap hashbang", Refuse("give the list as a file: argon map -a FILE -- COMMAND")),
    ("_pipe-means-argfiles", Refuse("write '::::' before the names of files")),
    ("_parset", Refuse("collect lines in the shell instead: mapfile -t lines < <(argon map -k …)")),
    ("_test", Refuse(RETIRED)),
    ("shell-completion shellcompletion", Refuse("'argon completions SHELL' prints it")),
    ("version V", Refuse("'argon --version' prints it")),
    ("min-version minversion", Refuse("'argon --version' prints the version; it is not one of GNU parallel")),
    ("number-of-cpus numberofcpus", Refuse(SHOWN)),
    ("number-of-sockets numberofsockets", Refuse(SHOWN)),
    ("number-of-cores numberofcores", Refuse(SHOWN)),
    ("number-of-threads numberofthreads", Refuse(SHOWN)),
    ("use-sockets-instead-of-threads usesocketsinsteadofthreads", Refuse(CPUS)),
    ("use-cores-instead-of-threads usecoresinsteadofthreads", Refuse(CPUS)),
    ("use-cpus-instead-of-cores usecpusinsteadofcores", Refuse(CPUS)),
    (
        "max-line-length-allowed maxlinelengthallowed",
        Refuse("'getconf ARG_MAX' prints the limit of a machine"),
    ),
    ("show-limits showlimits", Refuse("'getconf ARG_MAX' prints the limit of a machine")),
    (
        "open-tty o",
        Refuse("commands run on workers and have no terminal; 'argon run' passes standard input on"),
    ),
    ("tty", Refuse("commands run on workers and have no terminal; 'argon run' passes standard input on")),
    ("debug D", Refuse("the variable ARGON_LOG shows what is going on: ARGON_LOG=debug argon map …")),
    ("bug", Refuse(RETIRED)),
    ("g", Refuse(RETIRED)),
    ("B", Refuse(RETIRED)),
    ("H", Refuse(RETIRED)),
    ("T", Refuse(RETIRED)),
    ("U", Refuse(RETIRED)),
    ("W", Refuse(RETIRED)),
    ("Y", Refuse(RETIRED)),
    ("ctrl-c ctrlc", Refuse("Ctrl-C cancels everything; leave the option out")),
    ("no-ctrl-c no-ctrlc noctrlc", Refuse("Ctrl-C cancels everything; leave the option out")),
];
