//! The text format of Prometheus: families of samples, each with its type and help.

use std::fmt::{Display, Write};

use bytes::Bytes;

/// Type of the page.
pub(in crate::manager) const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// Samples of one name.
pub(in crate::manager) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Exposition {
    /// A family of values that only grow.
    pub(in crate::manager) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// A family of values that rise and fall.
    pub(in crate::manager) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// A family of distributions.
    pub(in crate::manager) fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { text: &mut self.0, name }
    }

    /// The text of the page.
    pub(in crate::manager) fn into_body(self) -> Bytes {
        self.0.into()
    }
}

impl Family<'_> {
    /// The only value.
    pub(in crate::manager) fn value(&mut self, value: impl Display) {
        self.sample(&[], value);
    }

    /// A value with labels.
    pub(in crate::manager) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// A distribution: the number of values in each bucket with its upper bound, those above all bounds, and their sum.
    pub(in crate::manager) fn distribution(
        &mut self,
        labels: &[(&str, &str)],
        buckets: impl Iterator<Item = (f64, u64)>,
        above: u64,
        sum: f64,
    ) {
        let mut count = 0;
        for (bound, inside) in buckets {
            count += inside;
            self.line("_bucket", labels, Some(&bound.to_string()), count);
        }
        count += above;
        self.line("_bucket", labels, Some("+Inf"), count);
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, count);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: impl Display) {
        let Self { text, name } = self;
        let _ = write!(text, "{name}{suffix}");
        let bound = bound.map(|bound| ("le", bound));
        for (at, (label, value)) in labels.iter().copied().chain(bound).enumerate() {
            let _ = write!(text, "{}{label}=\"{}\"", if at == 0 { '{' } else { ',' }, escaped(value));
        }
        let end = if labels.is_empty() && bound.is_none() { "" } else { "}" };
        let _ = writeln!(text, "{end} {value}");
    }
}

/// A label's value as the format has it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(page: Exposition) -> String {
        String::from_utf8(page.into_body().to_vec()).expect("text")
    }

    #[test]
    fn a_family_has_its_type_and_its_samples_their_labels() {
        let mut page = Exposition::default();
        page.gauge("a", "Some help.").value(7);
        page.counter("b_total", "Other help.").sample(&[("x", "1"), ("y", "q\"\\\n")], 0.5);
        let expected = "# HELP a Some help.\n# TYPE a gauge\na 7\n\
                        # HELP b_total Other help.\n# TYPE b_total counter\nb_total{x=\"1\",y=\"q\\\"\\\\\\n\"} 0.5\n";
        assert_eq!(text(page), expected);
    }

    #[test]
    fn the_buckets_of_a_distribution_add_up() {
        let mut page = Exposition::default();
        let buckets = [(0.01, 3), (2.5, 4)].into_iter();
        page.histogram("h_seconds", "Help.").distribution(&[("phase", "run")], buckets, 1, 12.5);
        let lines = text(page);
        let expected = "h_seconds_bucket{phase=\"run\",le=\"0.01\"} 3\nh_seconds_bucket{phase=\"run\",le=\"2.5\"} 7\n\
                        h_seconds_bucket{phase=\"run\",le=\"+Inf\"} 8\nh_seconds_sum{phase=\"run\"} 12.5\n\
                        h_seconds_count{phase=\"run\"} 8\n";
        assert!(lines.ends_with(expected), "{lines}");
    }
}
