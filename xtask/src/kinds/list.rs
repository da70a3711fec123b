//! The kinds of programs that are hard to call elsewhere, in the order of the page.
//!
//! Owns names, areas and what is still open. Which inputs were tried, and how they end, stands in comments above the tests.

/// One kind: tests name it in their comments.
pub(super) struct Kind {
    pub(super) area: &'static str,
    pub(super) name: &'static str,
    /// The promise, in a sentence or two.
    pub(super) about: &'static str,
    /// Inputs that are neither right nor loud yet, each a sentence.
    pub(super) open: &'static [&'static str],
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        area: "Perl code and values",
        name: "the topic",
        about: "A sub reads `$_` as it would here.",
        open: &[],
    },
    Kind {
        area: "Perl code and values",
        name: "state in code",
        about: "Some operators and closures keep state between calls. A task begins with the state \
               of the caller, not with that of the task before.",
        open: &[],
    },
    Kind {
        area: "Perl code and values",
        name: "data outside the object",
        about: "The fields of some objects are not in the object: they are filed under its address, \
               or in C memory. Such an object arrives whole or is refused.",
        open: &[],
    },
    Kind {
        area: "Perl code and values",
        name: "objects of one process",
        about: "A client, a handle on a task and an open file belong to their process. Data that \
               holds one travels, and what cannot work elsewhere dies in words when it is called.",
        open: &[],
    },
    Kind {
        area: "Perl code and values",
        name: "code of the caller runs",
        about: "Code is compiled, compared and sent. Nothing of the program runs because of it.",
        open: &[],
    },
    Kind {
        area: "Perl code and values",
        name: "variables of perl itself",
        about: "Code reads `$1`, `$@`, `$0`, `@ARGV` and the like as the guide lists them.",
        open: &[
            "`$!` and `$.` that were set outside the code are empty in the task, and `$@` in code that calls something.",
        ],
    },
    Kind {
        area: "Perl code and values",
        name: "values with two faces",
        about: "A value keeps what Perl knows about it: number or text, true or false, shared \
               references, magic.",
        open: &[],
    },
    Kind {
        area: "Perl code and values",
        name: "frames of the runner",
        about: "Errors and stack traces show the caller's program, not the machinery that runs the \
               task.",
        open: &[],
    },
    Kind {
        area: "Perl code and values",
        name: "copies of the process",
        about: "A forked child or a thread has a session of its own, or is refused.",
        open: &[],
    },
    Kind {
        area: "Perl code and values",
        name: "constants and big values",
        about: "Size costs time in proportion and is bounded by named limits.",
        open: &[],
    },
    Kind {
        area: "Python code and values",
        name: "an outcome ends its future",
        about: "Anything may raise on the way of an outcome to its caller. The caller still gets it.",
        open: &[],
    },
    Kind {
        area: "Python code and values",
        name: "exceptions that are hard to rebuild",
        about: "An exception arrives with its class, text and arguments, or as `argon.TaskError` \
               with all three in words.",
        open: &[],
    },
    Kind {
        area: "Python code and values",
        name: "modules that changed",
        about: "By name, a worker takes the module as its file says. A program that changed the \
               module in memory learns of it.",
        open: &[],
    },
    Kind {
        area: "Python code and values",
        name: "what the call refers to",
        about: "Captured and global variables, classes and functions of the main program travel as \
               they are at the call.",
        open: &[],
    },
    Kind {
        area: "Python code and values",
        name: "what cannot travel",
        about: "Locks, files, generators and C pointers are refused at the caller's line, by name.",
        open: &[],
    },
    Kind {
        area: "Python code and values",
        name: "iterators that raise",
        about: "Results of the items before the failure come first, then the failure.",
        open: &[],
    },
    Kind {
        area: "Python code and values",
        name: "re-entrance",
        about: "Signal handlers, finalizers, callbacks and other threads may call anything.",
        open: &[],
    },
    Kind {
        area: "Python code and values",
        name: "a drop-in replacement",
        about: "One changed line is enough to come from the standard library or joblib.",
        open: &[],
    },
    Kind {
        area: "Rust values and panics",
        name: "what serde can express",
        about: "A type that does not survive its format is refused where it is written.",
        open: &[],
    },
    Kind {
        area: "Rust values and panics",
        name: "panics",
        about: "The error names message and place of this panic.",
        open: &[],
    },
    Kind {
        area: "Rust values and panics",
        name: "numbers between languages",
        about: "A number arrives in another language as it was, or is refused at the call.",
        open: &[],
    },
    Kind {
        area: "Rust values and panics",
        name: "a client and its process",
        about: "A client works in any thread and runtime, and says when the runtime or process that \
               carries it is gone.",
        open: &[],
    },
    Kind {
        area: "Commands and shells",
        name: "input is not code",
        about: "Text of an input never becomes part of the shell's program.",
        open: &[],
    },
    Kind {
        area: "Commands and shells",
        name: "output that cannot be written",
        about: "A full disk is an error with its own exit status.",
        open: &[],
    },
    Kind {
        area: "Commands and shells",
        name: "the caller's environment",
        about: "A command finds folder, umask, variables and functions of the caller.",
        open: &[],
    },
    Kind {
        area: "Commands and shells",
        name: "inputs as people have them",
        about: "Byte order marks, empty lines, long lines and millions of rows are read as meant.",
        open: &[],
    },
    Kind {
        area: "Commands and shells",
        name: "long command lines",
        about: "A command line may be as long as the kernel allows.",
        open: &[],
    },
    Kind {
        area: "Commands and shells",
        name: "bytes that are not text",
        about: "Words, variables and paths may hold any bytes.",
        open: &[],
    },
    Kind {
        area: "Commands and shells",
        name: "a place for files",
        about: "A program without a home directory still has a place for its files, or says what to set.",
        open: &[],
    },
    Kind {
        area: "Commands and shells",
        name: "joblogs",
        about: "A run continues where it stopped, and two runs never share a joblog.",
        open: &[],
    },
    Kind {
        area: "Commands and shells",
        name: "sentences for mistakes",
        about: "A wrong option or a missing folder is named, with what to do.",
        open: &[],
    },
    Kind {
        area: "Tasks, slots and losses",
        name: "what a task leaves behind",
        about: "A task starts as in a fresh process as far as the process is concerned; what it \
               changed is put back.",
        open: &["State of modules (`$Data::Dumper::Indent`, `decimal` precision, warning filters) stays \
             for the next task of the same session in the same runner."],
    },
    Kind {
        area: "Tasks, slots and losses",
        name: "a process that dies",
        about: "The death of a process ends only the task that ran in it, with status or signal.",
        open: &[],
    },
    Kind {
        area: "Tasks, slots and losses",
        name: "a worker that dies",
        about: "Its tasks run elsewhere, unless the caller asked for never twice.",
        open: &[],
    },
    Kind {
        area: "Tasks, slots and losses",
        name: "tasks that wait for tasks",
        about: "A task may call the pool and wait. Its slot is lent meanwhile.",
        open: &[],
    },
    Kind {
        area: "Tasks, slots and losses",
        name: "sessions and runners",
        about: "A runner serves one session. What a task changes in its process does not reach tasks \
               of other sessions.",
        open: &[],
    },
    Kind {
        area: "Tasks, slots and losses",
        name: "sessions of tasks",
        about: "A task uses the pool through its worker. Nobody else opens its session.",
        open: &[],
    },
    Kind {
        area: "Tasks, slots and losses",
        name: "failing runners",
        about: "A runtime whose runners cannot start does not hold up the others.",
        open: &[],
    },
    Kind {
        area: "Tasks, slots and losses",
        name: "printed output",
        about: "Output of a task appears at its caller, whole, before the outcome.",
        open: &[],
    },
    Kind {
        area: "Operation",
        name: "cancel frees the slot",
        about: "A cancelled task ends, and its slot is free for the next. The answer tells what \
               happened.",
        open: &[],
    },
    Kind {
        area: "Operation",
        name: "leaving a wait",
        about: "A wait that is left by an exception or a signal cancels what it waited for.",
        open: &[],
    },
    Kind {
        area: "Operation",
        name: "drain waits",
        about: "A drained worker finishes what it holds.",
        open: &[],
    },
    Kind {
        area: "Operation",
        name: "ready means ready",
        about: "A program that answers on its port has handlers, key and store.",
        open: &[],
    },
    Kind {
        area: "Operation",
        name: "keys",
        about: "Key files are private and checked alike in every language.",
        open: &[],
    },
    Kind {
        area: "Operation",
        name: "encryption",
        about: "What leaves the machine is encrypted, and is said only to the manager that the key \
               names.",
        open: &[],
    },
    Kind {
        area: "Operation",
        name: "the state of the pool",
        about: "`argon status` shows what workers do, for people and programs.",
        open: &[],
    },
    Kind {
        area: "Operation",
        name: "memory is full",
        about: "A task for which the manager has no memory is rejected in words, and comes in once \
               there is some.",
        open: &[],
    },
    Kind {
        area: "Operation",
        name: "the reason of a wait",
        about: "A client that waits longer than two seconds reports the reason.",
        open: &[],
    },
    Kind {
        area: "Operation",
        name: "announced lengths",
        about: "Memory grows with the bytes that come, not with the length that a peer announces.",
        open: &[],
    },
    Kind {
        area: "Operation",
        name: "files that travel",
        about: "Files go into the scratch folder of a command and come back to the places that the \
               client has named, and nowhere else.",
        open: &[],
    },
];
