//! Finds the words of a command that are read again as code, by a shell or by an evaluation of numbers.
//!
//! Knows the builtins of POSIX shells, bash and ksh, and the programs that hand words to a shell. What a script itself
//! does with a value later is the script's affair.

use super::Check;

/// Programs that read the word after `-c` as a script of a POSIX shell.
const SHELLS: [&str; 12] =
    ["sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh", "oksh", "posh", "rbash", "yash", "zsh"];
/// … and those whose scripts have another grammar.
const OTHER_SHELLS: [&str; 9] = ["csh", "tcsh", "fish", "rc", "es", "elvish", "nu", "xonsh", "pwsh"];
/// Programs that pass the word after `-c` to a shell.
const WITH_COMMAND: [&str; 4] = ["su", "runuser", "flock", "script"];
/// Builtins that read their words as code.
const EVALUATING: [&str; 6] = ["eval", "trap", "alias", "bind", "complete", "compgen"];
/// Builtins whose words are names of variables: in some shells a subscript in a name is evaluated.
const NAMING: [&str; 12] = [
    "declare",
    "typeset",
    "local",
    "readonly",
    "export",
    "unset",
    "read",
    "printf",
    "getopts",
    "mapfile",
    "readarray",
    "wait",
];
/// Builtins whose words are sums.
const COUNTING: [&str; 6] = ["let", "exit", "return", "shift", "break", "continue"];
/// Comparisons of numbers: some shells evaluate both sides.
const COMPARING: [&str; 6] = ["-eq", "-ne", "-lt", "-le", "-gt", "-ge"];
/// Words that may stand before the name of a command.
const LEADING: [&str; 5] = ["command", "builtin", "exec", "env", "sudo"];
/// Options of ssh that take a value of their own.
const SSH_WITH_VALUE: &str = "BbcDEeFIiJLlmOopQRSWw";

/// Stands for a placeholder in the text of a word.
pub(super) const PLACE: char = '\u{0}';
/// Stands for what the shell fills in.
pub(super) const EXPANSION: char = '\u{1}';

/// A word that some shell reads as a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Position of the word.
    pub at: usize,
    /// Position of the shell.
    pub shell: usize,
    /// True if the shell is a POSIX one.
    pub is_posix: bool,
}

/// The word of a command that a shell reads as a script, whatever stands before that shell: `env A=1 bash -e -c SCRIPT`.
pub fn code_in(words: &[&str]) -> Option<Code> {
    words.iter().enumerate().find_map(|(at, word)| {
        let name = word.rsplit('/').next().unwrap_or(word);
        let is_posix = SHELLS.contains(&name) || is_variable(word, &["SHELL", "BASH"]);
        if !is_posix && !OTHER_SHELLS.contains(&name) {
            return None;
        }
        script_behind(&words[at + 1..]).map(|behind| Code { at: at + 1 + behind, shell: at, is_posix })
    })
}

/// True if a word is the value of one of these variables.
fn is_variable(word: &str, names: &[&str]) -> bool {
    word.strip_prefix(EXPANSION).is_some_and(|name| names.contains(&name))
}

/// Position of the script after the name of a shell: after the options, one of which has a `c`.
fn script_behind(words: &[&str]) -> Option<usize> {
    let mut has_c = false;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match *word {
            "--" if has_c => return (at + 1 < words.len()).then_some(at + 1),
            "-o" | "+o" | "-O" | "+O" | "--rcfile" | "--init-file" => at += 1,
            "--command" => has_c = true,
            option if option.starts_with("--") => {}
            option if option.len() > 1 && option.starts_with(['-', '+']) => {
                has_c |= option.starts_with('-') && option.contains('c');
                // `-ec` and `-eo pipefail` are clusters too.
                at += usize::from(option.ends_with('o'));
            }
            _ => return has_c.then_some(at),
        }
        at += 1;
    }
    None
}

/// True if word `at` of a command is handed to a shell somewhere, which reads it again: `ssh HOST WORD`, `su -c WORD`.
pub fn is_reread(words: &[&str], at: usize) -> bool {
    words[..at].iter().enumerate().any(|(nth, word)| {
        let behind = &words[nth + 1..at];
        match word.rsplit('/').next().unwrap_or(word) {
            "ssh" | "rsh" | "autossh" => host_in(behind),
            "watch" | "parallel" => nth == 0 || LEADING.contains(&words[nth - 1]),
            name if WITH_COMMAND.contains(&name) => is_value_of('c', "--command", behind, words[at]),
            "env" => is_value_of('S', "--split-string", behind, words[at]),
            _ => false,
        }
    })
}

/// True if a word holds the value of an option, after it or in one word with it: `-qc WORD`, `-cWORD`, `--command=WORD`.
fn is_value_of(letter: char, long: &str, behind: &[&str], word: &str) -> bool {
    let is_cluster = |option: &str| {
        option.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-') && letters.contains(letter))
    };
    let is_behind = behind.last().is_some_and(|option| {
        // Long options may be shortened.
        let is_long = option.len() > 3 && long.starts_with(option);
        is_long || is_cluster(option) && option.ends_with(letter)
    });
    let is_within = word.split_once('=').is_some_and(|(name, _)| name.len() > 3 && long.starts_with(name));
    is_behind || is_within || is_cluster(word)
}

/// True if the name of the host is among these words of ssh, so that what follows is for the shell there.
fn host_in(words: &[&str]) -> bool {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match word.strip_prefix('-') {
            None => return true,
            Some(option) => at += usize::from(option.len() == 1 && SSH_WITH_VALUE.contains(option)),
        }
        at += 1;
    }
    false
}

/// True if word `at` of a simple command is read as code.
pub(super) fn is_code(words: &[&str], at: usize) -> bool {
    let name = words.iter().position(|word| !is_assignment(word) && !LEADING.contains(word));
    name.is_some_and(|name| name < at && EVALUATING.contains(&words[name]))
        || code_in(words).is_some_and(|code| code.at == at)
        || is_reread(words, at)
}

/// Requirement for the value of a placeholder in word `at` of a simple command.
pub(super) fn check(words: &[&str], at: usize) -> Check {
    if is_code(words, at) {
        return Check::Plain;
    }
    let first = words.iter().position(|word| !is_assignment(word)).unwrap_or(words.len());
    if at < first {
        return subscript(words[at]);
    }
    let name = words[first..].iter().position(|word| !LEADING.contains(word) && !word.starts_with('-'));
    let Some(name) = name.map(|behind| first + behind).filter(|name| *name < at) else {
        return subscript(words[at]);
    };
    let before = words.get(at - 1).copied().unwrap_or_default();
    let after = words.get(at + 1).copied().unwrap_or_default();
    match words[name] {
        word if COUNTING.contains(&word) => Check::Number,
        "printf" => {
            if before == "-v" {
                Check::Plain
            } else {
                Check::Any
            }
        }
        word if NAMING.contains(&word) => {
            let is_value =
                words[at].find('=').is_some_and(|sign| words[at].find([PLACE, EXPANSION]) > Some(sign));
            let has_option = words[name + 1..at].iter().any(|word| word.starts_with(['-', '+']));
            if is_value && !has_option { Check::Any } else { Check::Plain }
        }
        "[" | "[[" | "test" => match before {
            _ if COMPARING.contains(&before) || COMPARING.contains(&after) => Check::Number,
            "-v" | "-R" => Check::Plain,
            _ => Check::Any,
        },
        _ => Check::Any,
    }
}

/// A subscript is evaluated: `list[{}]=x`.
fn subscript(word: &str) -> Check {
    let open = word.find('[');
    match (open, word.find(PLACE)) {
        (Some(open), Some(place)) if open < place && is_name(&word[..open]) => Check::Number,
        _ => Check::Any,
    }
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    let name = name.strip_suffix('+').unwrap_or(name);
    is_name(name.split('[').next().unwrap_or(name))
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|letter: char| letter.is_ascii_digit())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
