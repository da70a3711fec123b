//! `argon completions`: what a shell needs to complete command lines of this program, from the table of `--help`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::exit::Failure;
use crate::output::print;

/// Print the completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon completions bash > /etc/bash_completion.d/argon
  argon completions zsh > \"${fpath[1]}/_argon\"
  argon completions fish > ~/.config/fish/completions/argon.fish")]
pub(super) struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::ArgonArguments::command(), "argon", &mut script);
    print(with_names(arguments.shell, &String::from_utf8_lossy(&script)))
}

/// The script with completion of names that the manager knows: of workers, tasks and owners.
fn with_names(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => {
            format!("{}\n{BASH}", script.replace("complete -F _argon ", "complete -F _argon_with_names "))
        }
        Shell::Fish => format!("{script}\n{FISH}"),
        Shell::Zsh => zsh(script),
        Shell::Elvish | Shell::PowerShell | _ => script.to_owned(),
    }
}

/// Colons are part of names: readline takes the line apart at them, and puts only the last part in.
const BASH: &str = r#"
_argon_with_names() {
    local line=${COMP_LINE:0:COMP_POINT} what='' word before head
    word=${line##* }
    before=${line%"$word"}
    case "$before" in
        *" --manager ") what=managers ;;
        *" --owner ") what=owners ;;
        *" --within " | *" --key " | *" --tls-ca ") ;;
        *"argon drain "*) what=workers ;;
        *"argon cancel "* | *"argon tasks "* | *"argon task "* | *"argon explain "*) what=tasks ;;
    esac
    if [[ -n "$what" && "$word" != -* ]]; then
        COMPREPLY=($(compgen -W "$(argon complete "$what" 2>/dev/null)" -- "$word"))
        if [[ "$word" == *:* && "$COMP_WORDBREAKS" == *:* ]]; then
            head=${word%"${word##*:}"}
            COMPREPLY=("${COMPREPLY[@]#"$head"}")
        fi
        [[ ${#COMPREPLY[@]} -gt 0 ]] && return
    fi
    _argon "$@"
}
"#;

const FISH: &str = r#"
complete -c argon -n "__fish_argon_using_subcommand drain" -f -a "(argon complete workers 2>/dev/null)"
complete -c argon -n "__fish_argon_using_subcommand cancel" -f -a "(argon complete tasks 2>/dev/null)"
complete -c argon -n "__fish_argon_using_subcommand task" -f -a "(argon complete tasks 2>/dev/null)"
complete -c argon -n "__fish_argon_using_subcommand explain" -f -a "(argon complete tasks 2>/dev/null)"
complete -c argon -n "__fish_argon_using_subcommand cancel" -l owner -x -a "(argon complete owners 2>/dev/null)"
"#;

const ZSH: &str = r#"
_argon_names() { local -a names; names=(${(f)"$(argon complete $1 2>/dev/null)"}); (( $#names )) && compadd -a names }
(( $+functions[_argon_workers] )) || _argon_workers() { _argon_names workers }
(( $+functions[_argon_tasks] )) || _argon_tasks() { _argon_names tasks }
(( $+functions[_argon_owners] )) || _argon_owners() { _argon_names owners }
(( $+functions[_argon_managers] )) || _argon_managers() { _argon_names managers }
"#;

/// Puts the functions behind the first line, which names the command, and their names where a value is described.
fn zsh(script: &str) -> String {
    let (first, rest) = script.split_once('\n').unwrap_or((script, ""));
    let mut text = format!("{first}\n{ZSH}");
    // A colon ends the description of a value.
    let rest = rest.replace(":HOST:PORT:", r":HOST\:PORT:");
    for line in rest.lines() {
        let what = [
            (":worker -- ", "workers"),
            ("::ids -- ", "tasks"),
            (":id -- ", "tasks"),
            ("--owner=[", "owners"),
            ("--manager=[", "managers"),
        ]
        .iter()
        .find(|(part, _)| line.contains(part));
        match what {
            Some((_, what)) => text.push_str(&line.replacen(":_default", &format!(":_argon_{what}"), 1)),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}
