//! The two text formats of metrics: `OpenMetrics`, and the classic one, which everything reads.

use super::catalog::{Kind, METRICS};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `OpenMetrics` 1.0.
    OpenMetrics,
    /// The format of Prometheus, version 0.0.4.
    Classic,
}

const OPEN_METRICS: &str = "application/openmetrics-text";
const CLASSIC: &str = "text/plain";

impl Format {
    /// The format that a client prefers, by its header `Accept`; the classic one if it names neither.
    pub fn preferred(accept: Option<&str>) -> Self {
        let accept = accept.unwrap_or_default();
        if quality(accept, OPEN_METRICS) > quality(accept, CLASSIC) {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// How much a client wants a media type, from 0 to 1; ranges such as `*/*` do not count.
fn quality(accept: &str, media_type: &str) -> f64 {
    let ranges = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(media_type));
        let quality = parts.find_map(|part| part.strip_prefix("q=")).unwrap_or("1");
        is_it.then(|| quality.parse::<f64>().unwrap_or_default())
    });
    ranges.fold(0.0, f64::max)
}

/// Turns `OpenMetrics` into the classic format: there the family of a counter has the name of its series, and the end is not
/// marked.
pub fn classic(open_metrics: &str) -> String {
    let is_counter = |family: &str| {
        METRICS.iter().any(|metric| metric.kind == Kind::Counter && metric.family() == family)
    };
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines().filter(|line| *line != "# EOF") {
        let comment = ["# HELP ", "# TYPE "].into_iter().find(|start| line.starts_with(start));
        let named = comment.and_then(|start| Some((start, line[start.len()..].split_once(' ')?)));
        match named {
            Some((start, (family, rest))) if is_counter(family) => {
                text.extend([start, family, "_total ", rest]);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_asked_for() {
        use Format::{Classic, OpenMetrics};
        let of_prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            (None, Classic),
            (Some("*/*"), Classic),
            (Some("text/plain;version=0.0.4;q=0.6,*/*;q=0.5"), Classic),
            (Some("application/openmetrics-text"), OpenMetrics),
            (Some("Application/OpenMetrics-Text; version=1.0.0"), OpenMetrics),
            (Some("application/openmetrics-text;q=0"), Classic),
            (Some("application/openmetrics-text;q=0.2,text/plain;q=0.8"), Classic),
            (Some("application/openmetrics-text;q=x"), Classic),
            (Some(of_prometheus), OpenMetrics),
        ] {
            assert_eq!(Format::preferred(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn the_classic_format_names_the_family_of_a_counter_as_its_series() {
        let open_metrics = "# HELP tap_operator_guarded Guarded.\n# TYPE tap_operator_guarded gauge\ntap_operator_guarded 1\n\
             # HELP workqueue_adds Adds.\n# TYPE workqueue_adds counter\nworkqueue_adds_total{name=\"a\"} 2\n# EOF\n";
        let expected = "# HELP tap_operator_guarded Guarded.\n# TYPE tap_operator_guarded gauge\ntap_operator_guarded 1\n\
             # HELP workqueue_adds_total Adds.\n# TYPE workqueue_adds_total counter\nworkqueue_adds_total{name=\"a\"} 2\n";
        assert_eq!(classic(open_metrics), expected);
    }
}
