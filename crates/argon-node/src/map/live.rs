//! Output as it comes: `--line-buffer` prints whole lines, `--ungroup` whatever a command has written.
//!
//! Holds at most the beginning of a line for each command. What a lost start of a command printed has been printed.

use std::io;

use super::progress::Progress;
use crate::output::pass_on;

/// Bytes of a line that is held until its end comes, at most.
const LINE_MAX: usize = 1 << 20;

/// Prints what commands write at once.
#[derive(Debug, Clone)]
pub struct Live {
    /// True if only whole lines are printed.
    pub is_by_lines: bool,
    /// The line that makes way for output.
    pub progress: Progress,
}

/// Output of one command that is on its way.
#[derive(Debug, Default)]
pub struct LiveOutput {
    /// Beginnings of lines of standard output and of standard error.
    held: [Vec<u8>; 2],
    /// Bytes that the command has written.
    pub received: u64,
}

impl Live {
    /// Prints what came on a descriptor, 1 or 2.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(
        &self,
        output: &mut LiveOutput,
        fd: usize,
        tag: Option<&str>,
        bytes: &[u8],
    ) -> io::Result<()> {
        output.received += bytes.len() as u64;
        if !self.is_by_lines {
            return self.print(fd, bytes);
        }
        let held = &mut output.held[usize::from(fd == 2)];
        held.extend_from_slice(bytes);
        let whole = match held.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if held.len() > LINE_MAX => held.len(),
            None => return Ok(()),
        };
        let rest = held.split_off(whole);
        let lines = std::mem::replace(held, rest);
        self.print(fd, &tagged(&lines, tag))
    }

    /// Prints the last lines, which have no end.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn finish(&self, output: &mut LiveOutput, tag: Option<&str>) -> io::Result<()> {
        for (held, fd) in output.held.iter_mut().zip([1, 2]) {
            if !held.is_empty() {
                self.print(fd, &tagged(&std::mem::take(held), tag))?;
            }
        }
        Ok(())
    }

    fn print(&self, fd: usize, bytes: &[u8]) -> io::Result<()> {
        self.progress.make_way(|| pass_on(fd, bytes))
    }
}

fn tagged(lines: &[u8], tag: Option<&str>) -> Vec<u8> {
    let Some(tag) = tag else { return lines.to_vec() };
    let mut text = Vec::with_capacity(lines.len() * 2);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        text.extend_from_slice(tag.as_bytes());
        text.push(b'\t');
        text.extend_from_slice(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_stands_before_each_line() {
        assert_eq!(tagged(b"a\nb", Some("t")), b"t\ta\nt\tb");
        assert_eq!(tagged(b"a\n", None), b"a\n");
    }
}
