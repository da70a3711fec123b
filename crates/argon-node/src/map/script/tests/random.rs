//! Random bytes at random places of random scripts.

use super::Shells;

/// Chance with a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    /// Random bytes, as far as they are text: half of them mean something to a shell.
    fn input(&mut self) -> String {
        const MEANING: &[u8] = b"$`'\"\\(){}[]<>|&;#*?~!= \t\n-%@^";
        let length = self.roll(24);
        let bytes: Vec<u8> = (0..length)
            .map(|_| match self.roll(4) {
                0 => (self.roll(255) + 1) as u8,
                1 => b'a' + self.roll(26) as u8,
                _ => MEANING[self.roll(MEANING.len())],
            })
            .collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if self.roll(4) == 0 { format!("$(touch PWNED){text}`touch PWNED`") } else { text }
    }

    /// A part of a word, and what it gives for an input.
    fn part(&mut self, depth: usize, is_quoted: bool, input: &str) -> (String, String) {
        let simple = if depth == 0 { 3 } else { 8 };
        match self.roll(simple) {
            0 | 1 => ("{}".to_owned(), input.to_owned()),
            2 => {
                let (text, value) = [("a", "a"), ("-", "-"), ("\\\\", "\\"), ("\\$", "$")][self.roll(4)];
                (text.to_owned(), value.to_owned())
            }
            3 => {
                let (text, value) = self.parts(depth - 1, false, input);
                let quote = if is_quoted { "" } else { "\"" };
                (format!("{quote}$(printf '%s.' {text}){quote}"), format!("{value}."))
            }
            4 if !is_quoted => {
                let (text, value) = self.parts(depth - 1, true, input);
                (format!("\"{text}\""), value)
            }
            5 if !is_quoted => (format!("'b{}{}'", "{}", "\"`$("), format!("b{input}\"`$(")),
            6 => {
                let (text, value) = self.parts(depth - 1, is_quoted, input);
                (format!("${{unset_here:-{text}}}"), value)
            }
            _ => ("z".to_owned(), "z".to_owned()),
        }
    }

    fn parts(&mut self, depth: usize, is_quoted: bool, input: &str) -> (String, String) {
        let count = 1 + self.roll(3);
        let parts: Vec<_> = (0..count).map(|_| self.part(depth, is_quoted, input)).collect();
        (
            parts.iter().map(|part| part.0.as_str()).collect(),
            parts.iter().map(|part| part.1.as_str()).collect(),
        )
    }
}

// kind: input is not code | random bytes at random places, through dash and bash | right | one word, and nothing
//    runs
#[test]
fn random_bytes_at_random_places_arrive_as_one_word_and_run_nothing() {
    let seed = std::env::var("ARGON_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = || std::time::UNIX_EPOCH.elapsed().map_or(1, |elapsed| elapsed.as_nanos() as u64);
    let seed = seed.unwrap_or_else(now);
    let shells = Shells::new();
    let mut dice = Dice(seed);
    for round in 0..300 {
        let input = dice.input();
        let (text, value) = dice.parts(3, true, &input);
        let context = format!("ARGON_SEED={seed}, round {round}");
        let line = format!("printf '[%s]' \"{text}\" '{{}}' {{}}");
        shells.assert_prints(&line, &input, &format!("[{value}][{input}][{input}]"), &context);
    }
}
