//! Target: the template of `argon map` and its scanner of shell scripts.
//!
//! The first byte chooses how the words are read; the rest is the command, a word on each line. Promises: nothing
//! panics, and an input that is hostile to shells never becomes text of a script.

use argon_node::map::filling::Filling;
use argon_node::map::reading::Reading;
use argon_node::map::template::CommandTemplate;

/// A command substitution, an end of every kind of quote, and a line end.
const HOSTILE: &str = "$(reboot)'\"`reboot`;\n";

/// Checks one command line.
pub fn run(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let words: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let shell = [None, Some("sh"), Some("bash")][usize::from(choice % 3)];
    let reading = Reading { whole: "{}", shell, literal: choice & 4 != 0, more: None };
    let template = match CommandTemplate::parse(&words, reading) {
        Ok(template) => template,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let row = vec![HOSTILE.to_owned(); template.highest_column().clamp(1, 9)];
    for input in [row, vec!["7".to_owned(); 9]] {
        let Ok(filled) = template.fill(&Filling::new(&input, 3)) else { continue };
        assert!(!filled.is_empty(), "a command has a word at least");
        if shell.is_some() {
            let script = filled.get(2).map_or("", String::as_str);
            let has_it = script.contains("reboot") && !text.contains("reboot");
            assert!(!has_it, "an input became text of the script: {script}");
        }
    }
}

/// Command lines with every construct that the scanner follows.
#[must_use]
pub fn corpus() -> Vec<Vec<u8>> {
    let lines = [
        "\0gzip\n-9\n{}",
        "\0sh\n-c\necho \"{}\" '{.}'\nsh",
        "\0ssh\nhost\ncat {}",
        "\0cp\n{}\n{//}/{/.}.new\n{#}",
        "\u{1}printf '%s\\n' \"{}\" '{}' {}",
        "\u{1}echo $(cat {} | tr a b) ${x:-{}} $((1 + {}))",
        "\u{1}case {} in a) echo {.};; (b) echo \"$(echo {/})\";; esac",
        "\u{1}cat <<E\n{} and $(echo {})\nE\necho {1}",
        "\u{2}cat <<-'E'\n\ttext\n\tE\nif [ {} -eq 3 ]; then echo $'a\\'b' {}; fi",
        "\u{2}for x in {}; do eval \"echo $x\"; done # {}",
        "\u{4}echo {x} {print $1} {{.Name}}",
        "\u{1}f() { echo \"${1%.*}\" {}; }; f `date` {}",
    ];
    lines.map(|line| line.as_bytes().to_vec()).to_vec()
}
