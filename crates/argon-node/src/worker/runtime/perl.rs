//! Perl: how the runner's program is put together and started.
//!
//! The program is embedded, so that a worker's machine needs a plain `perl` and no module. The POD of
//! `perl/lib/Argon/Runner.pm` documents the form of the text.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Launch, answer_of, ask};
use crate::worker::config::{WorkerConfig, WorkerError};
use crate::worker::process::kernel;

const VERSION_MIN: (u32, u32) = (5, 16);
const BOOTSTRAP: &str = include_str!("../../../../../perl/lib/Argon/Runner/bootstrap.txt");

macro_rules! embedded {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../../perl/lib/", $path)))),+]
    };
}

/// The files of `perl/lib/Argon/Runner/files.txt`, in its order; a test compares them.
const FILES: &[(&str, &str)] = embedded![
    "Argon/Protocol.pm",
    "Argon/Memory.pm",
    "Argon/Data.pm",
    "Argon/Data/Left.pm",
    "Argon/Data/Locked.pm",
    "Argon/Data/Weak.pm",
    "Argon/Data/Graph.pm",
    "Argon/Data/Graph/Build.pm",
    "Argon/Data/Object.pm",
    "Argon/Data/Copy.pm",
    "Argon/Code/Receive.pm",
    "Argon/Runner/Caller.pm",
    "Argon/Runner/Kernel.pm",
    "Argon/Runner/Socket.pm",
    "Argon/Runner/Reset.pm",
    "Argon/Runner/Library.pm",
    "Argon/Runner/Log.pm",
    "Argon/Runner/Modules.pm",
    "Argon/Runner/LeasePipe.pm",
    "Argon/Runner/Leftovers.pm",
    "Argon/Runner/Code.pm",
    "Argon/Runner/SharedValues.pm",
    "Argon/Runner/Stack.pm",
    "Argon/Runner/FastPath.pm",
    "Argon/Runner/Template.pm",
    "Argon/Runner.pm",
];

/// The client's modules, for tasks that use them: the files of `perl/lib/Argon/Runner/library.txt`.
const LIBRARY: &[(&str, &str)] = embedded![
    "Argon.pm",
    "Argon/Client.pm",
    "Argon/Client/Code.pm",
    "Argon/Client/Detached.pm",
    "Argon/Client/Duration.pm",
    "Argon/Client/Foreign.pm",
    "Argon/Client/InTask.pm",
    "Argon/Client/Loop.pm",
    "Argon/Client/Loop/AnyEvent.pm",
    "Argon/Client/Loop/Future.pm",
    "Argon/Client/Loop/IOAsync.pm",
    "Argon/Client/Loop/Mojo.pm",
    "Argon/Client/Map.pm",
    "Argon/Client/Map/Chunk.pm",
    "Argon/Client/Map/Pace.pm",
    "Argon/Client/Net/Address.pm",
    "Argon/Client/Net/Dial.pm",
    "Argon/Client/Net/Key.pm",
    "Argon/Client/Net/Link.pm",
    "Argon/Client/Net/Program.pm",
    "Argon/Client/Net/Segments.pm",
    "Argon/Client/Net/TLS.pm",
    "Argon/Client/Net/TLSLink.pm",
    "Argon/Client/Net/Trust.pm",
    "Argon/Client/Net/Tunnel.pm",
    "Argon/Client/Net/WorkerDial.pm",
    "Argon/Client/Options.pm",
    "Argon/Client/Original.pm",
    "Argon/Client/Result.pm",
    "Argon/Client/Session.pm",
    "Argon/Client/Session/Collect.pm",
    "Argon/Client/Session/EventLoops.pm",
    "Argon/Client/Session/Inbox.pm",
    "Argon/Client/Session/Interrupt.pm",
    "Argon/Client/Session/Lending.pm",
    "Argon/Client/Session/Lifetime.pm",
    "Argon/Client/Session/LogRecords.pm",
    "Argon/Client/Session/ModuleAnswers.pm",
    "Argon/Client/Session/Opening.pm",
    "Argon/Client/Session/Output.pm",
    "Argon/Client/Session/Reconnect.pm",
    "Argon/Client/Session/Sending.pm",
    "Argon/Client/Session/TaskRecord.pm",
    "Argon/Client/Session/WaitingReasons.pm",
    "Argon/Client/Wait.pm",
    "Argon/Client/Wait/Block.pm",
    "Argon/Client/Wait/Leaving.pm",
    "Argon/Client/Wait/Lends.pm",
    "Argon/Client/Wait/Long.pm",
    "Argon/Client/Wait/Threads.pm",
    "Argon/Code.pm",
    "Argon/Code/Analyse/Classes.pm",
    "Argon/Code/Analyse/Dependencies.pm",
    "Argon/Code/Analyse/Fingerprint.pm",
    "Argon/Code/Analyse/FoldedLists.pm",
    "Argon/Code/Analyse/Optree.pm",
    "Argon/Code/Analyse/Origin.pm",
    "Argon/Code/Analyse/PerlVersion.pm",
    "Argon/Code/Analyse/Pragma.pm",
    "Argon/Code/Analyse/Purity.pm",
    "Argon/Code/Analyse/StatefulOps.pm",
    "Argon/Code/Refusal.pm",
    "Argon/Code/Ship/Captures.pm",
    "Argon/Code/Ship/DeclaredClasses.pm",
    "Argon/Code/Ship/GivenText.pm",
    "Argon/Code/Ship/ModuleSettings.pm",
    "Argon/Code/Ship/OwnModules.pm",
    "Argon/Code/Ship/Shipment.pm",
    "Argon/Code/Write/Constants.pm",
    "Argon/Code/Write/Deparse.pm",
    "Argon/Code/Write/DeparseTerms.pm",
    "Argon/Code/Write/Frame.pm",
    "Argon/Code/Write/Layout.pm",
    "Argon/Code/Write/SourceFromFile.pm",
    "Argon/Code/Write/Verification.pm",
    "Argon/Data/Lengths.pm",
    "Argon/Deferred.pm",
    "Argon/Error.pm",
    "Argon/Local.pm",
    "Argon/Protocol/Handshake.pm",
    "Argon/Protocol/Text.pm",
    "Argon/Protocol/Ticket.pm",
    "Argon/Shared.pm",
    "Argon/Simple.pm",
];

/// Line that ends the text of a module in the program. A test checks that no module has it.
const END_OF_MODULE: &str = "END_OF_ARGON_MODULE";

/// `u32 length` and the program text.
static PREAMBLE: LazyLock<Bytes> = LazyLock::new(|| {
    let program = program(FILES, LIBRARY);
    let mut preamble = BytesMut::with_capacity(4 + program.len());
    preamble.put_u32(program.len() as u32);
    preamble.put_slice(program.as_bytes());
    preamble.freeze()
});

/// The version of this machine's Perl.
pub(super) fn discover(config: &WorkerConfig) -> Result<String, WorkerError> {
    let program = interpreter(config);
    let tried = program.display().to_string();
    let mut command = Command::new(&program);
    command.args(["-e", "printf '%vd', $^V"]);
    let version = ask(command, config.run_as.as_ref()).and_then(answer_of).map_err(|why| {
        WorkerError::NoInterpreter { language: "perl", tried: tried.clone(), why, option: "--perl" }
    })?;
    match parsed(&version) {
        Some(parsed) if parsed >= VERSION_MIN => Ok(version),
        Some(_) => {
            let why = format!("it is perl {version}, and tasks need 5.16 or later");
            Err(WorkerError::BadInterpreter { program: tried, why })
        }
        None => {
            let why = "it does not report its version as perl does".to_owned();
            Err(WorkerError::BadInterpreter { program: tried, why })
        }
    }
}

fn parsed(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

pub(super) fn launch(config: &WorkerConfig) -> Launch {
    Launch {
        program: interpreter(config),
        arguments: vec!["-e".to_owned(), BOOTSTRAP.trim_end().to_owned()],
        variables: vec![("ARGON_SYSCALLS".into(), kernel::system_calls().into())],
        preamble: PREAMBLE.clone(),
    }
}

fn interpreter(config: &WorkerConfig) -> PathBuf {
    config.perl.clone().unwrap_or_else(|| "perl".into())
}

fn program(files: &[(&str, &str)], library: &[(&str, &str)]) -> String {
    let mut program = String::new();
    for (path, text) in files {
        let code = without_documentation(text);
        program.push_str(&format!(
            "BEGIN {{\n# line 1 \"{path}\"\n{code}\n}}\nBEGIN {{ $INC{{\"{path}\"}} = \"{path}\" }}\n"
        ));
    }
    for (path, text) in library {
        let code = without_documentation(text);
        program.push_str(&format!(
            "BEGIN {{ $Argon::Runner::Library::TEXT{{\"{path}\"}} = <<'{END_OF_MODULE}' }}\n{code}{END_OF_MODULE}\n"
        ));
    }
    program.push_str("Argon::Runner->start(*Argon::Bootstrap{IO});\n");
    program
}

fn without_documentation(text: &str) -> &str {
    text.find("\n__END__\n").map_or(text, |end| &text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::tests::config;

    #[test]
    fn every_file_of_the_list_is_embedded_in_its_order() {
        let list = include_str!("../../../../../perl/lib/Argon/Runner/files.txt");
        let embedded: Vec<&str> = FILES.iter().map(|(path, _)| *path).collect();
        assert_eq!(list.lines().collect::<Vec<_>>(), embedded);
        let list = include_str!("../../../../../perl/lib/Argon/Runner/library.txt");
        let embedded: Vec<&str> = LIBRARY.iter().map(|(path, _)| *path).collect();
        assert_eq!(list.lines().collect::<Vec<_>>(), embedded);
    }

    #[test]
    fn no_module_has_the_line_that_ends_its_text() {
        for (path, text) in LIBRARY {
            assert!(text.lines().all(|line| line != END_OF_MODULE), "{path}");
        }
    }

    #[test]
    fn documentation_does_not_travel() {
        let files = [("A.pm", "1;\n__END__\n=head1 NAME\n"), ("B.pm", "2;\n")];
        let text = program(&files, &[("C.pm", "3;\n__END__\n=head1 NAME\n")]);
        assert!(
            text.starts_with("BEGIN {\n# line 1 \"A.pm\"\n1;\n\n}\nBEGIN { $INC{\"A.pm\"} = \"A.pm\" }\n")
        );
        assert!(text.contains("2;\n") && text.contains("3;\n") && !text.contains("NAME"));
    }

    #[test]
    fn a_missing_perl_is_told_in_a_sentence() {
        let config = WorkerConfig { perl: Some("/nowhere/perl".into()), ..config() };
        let error = discover(&config).expect_err("there is none");
        assert!(error.to_string().starts_with("no perl was found (/nowhere/perl: "), "{error}");
        assert!(error.to_string().ends_with("name it with --perl"), "{error}");
    }
}
