//! Numbers over the API: for Prometheus as text, for people as a list.

use std::fmt::{Display, Write};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use super::error::ApiError;
use super::seen::Seen;
use super::wire;
use crate::auth::gate::{Authorized, Read};
use crate::engine::Engine;
use crate::engine::metrics::{AppCounts, BUCKETS_MS, Counts, Metrics};

/// The classes of status in the order in which they are counted; none: the client left before there was one.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// In the text format of Prometheus, version 0.0.4.
pub(super) async fn show(_: Authorized<Read>, State(engine): State<Engine>) -> Result<Response, ApiError> {
    let text = text(&engine.metrics().await?);
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

pub(super) async fn by_app(
    by: Authorized<Read>,
    State(engine): State<Engine>,
) -> Result<Json<wire::List<wire::Requests>>, ApiError> {
    let seen = Seen::apps(engine.reader(), &by.caller).await?;
    let Counts { apps, .. } = engine.request_counts().await?;
    let apps = apps.into_iter().filter(|(app, _)| seen.has(Some(app.as_str())));
    let micros = |counts: &AppCounts, percent| {
        counts.percentile(percent).map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    };
    let row = |(app, counts): (String, AppCounts)| wire::Requests {
        app,
        requests: counts.requests(),
        errors: counts.errors(),
        median_us: micros(&counts, 50),
        p99_us: micros(&counts, 99),
        bytes_in: counts.bytes_in,
        bytes_out: counts.bytes_out,
        in_flight: counts.in_flight,
        retries: counts.retries,
    };
    Ok(Json(wire::List { items: apps.map(row).collect(), next: None }))
}

fn text(metrics: &Metrics) -> String {
    let Metrics { apps, jobs, failed_jobs, unfinished, ended, backup_concerns, proxy } = metrics;
    let mut text = Text::default();
    text.family("rivetr_up", "gauge", "Whether rivetr answers.").sample(&[], 1);
    text.family("rivetr_build_info", "gauge", "The version of rivetr.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.family("rivetr_apps", "gauge", "Apps.").sample(&[], apps);
    text.family("rivetr_jobs", "gauge", "Jobs.").sample(&[], jobs);
    text.family("rivetr_jobs_failed", "gauge", "Jobs whose last run failed.").sample(&[], failed_jobs);
    text.family("rivetr_deployments_unfinished", "gauge", "Deployments that have not ended, by their state.");
    for (state, count) in unfinished {
        text.sample(&[("state", state.as_str())], count);
    }
    text.family("rivetr_deployments_ended_total", "counter", "Deployments that ended since rivetr started.");
    for (state, count) in ended {
        text.sample(&[("state", state.as_str())], count);
    }
    let help = "Databases and volumes whose backups failed, are late, empty or cannot be restored.";
    text.family("rivetr_backup_concerns", "gauge", help).sample(&[], backup_concerns.len());
    text.family("rivetr_proxy_up", "gauge", "Whether the proxy could be asked.")
        .sample(&[], u8::from(proxy.is_some()));
    if let Some(counts) = proxy {
        connections(&mut text, counts);
        requests(&mut text, counts);
    }
    text.text
}

fn connections(text: &mut Text, counts: &Counts) {
    let Counts { apps: _, connections, turned_away, handshakes, failed_handshakes, dropped_lines } = counts;
    text.family("rivetr_proxy_connections_total", "counter", "Connections that were accepted.")
        .sample(&[], connections);
    text.family(
        "rivetr_proxy_connections_refused_total",
        "counter",
        "Connections that were closed at once, for there were too many.",
    )
    .sample(&[], turned_away);
    text.family("rivetr_proxy_tls_handshakes_total", "counter", "TLS handshakes, by how they ended.")
        .sample(&[("result", "ok")], handshakes)
        .sample(&[("result", "failed")], failed_handshakes);
    text.family(
        "rivetr_proxy_access_log_dropped_total",
        "counter",
        "Lines of the access log that were dropped.",
    )
    .sample(&[], dropped_lines);
}

fn requests(text: &mut Text, counts: &Counts) {
    text.family(
        "rivetr_proxy_requests_total",
        "counter",
        "Requests that ended, by the class of their status.",
    );
    for (app, counts) in &counts.apps {
        for (class, count) in CLASSES.iter().zip(counts.statuses) {
            text.sample(&[("app", app), ("status", class)], count);
        }
    }
    text.family(
        "rivetr_proxy_request_duration_seconds",
        "histogram",
        "From the head of a request to the end of its answer; without tunnels.",
    );
    for (app, counts) in &counts.apps {
        histogram(text, app, counts);
    }
    let mut each = |name: &'static str, kind, help, of: fn(&AppCounts) -> u64| {
        text.family(name, kind, help);
        for (app, counts) in &counts.apps {
            text.sample(&[("app", app)], of(counts));
        }
    };
    each("rivetr_proxy_request_bytes_total", "counter", "Bytes of bodies and tunnels to apps.", |app| {
        app.bytes_in
    });
    each("rivetr_proxy_response_bytes_total", "counter", "Bytes of bodies and tunnels from apps.", |app| {
        app.bytes_out
    });
    each("rivetr_proxy_requests_in_flight", "gauge", "Requests and tunnels that have not ended.", |app| {
        app.in_flight
    });
    each("rivetr_proxy_retries_total", "counter", "Requests that were sent once more, each time.", |app| {
        app.retries
    });
}

fn histogram(text: &mut Text, app: &str, counts: &AppCounts) {
    let mut sum = 0;
    let ends = BUCKETS_MS.iter().map(|millis| seconds(millis * 1000)).chain(["+Inf".to_owned()]);
    for (end, count) in ends.zip(counts.buckets) {
        sum += count;
        text.part("_bucket", &[("app", app), ("le", &end)], sum);
    }
    text.part("_sum", &[("app", app)], seconds(counts.micros));
    text.part("_count", &[("app", app)], sum);
}

/// Microseconds as seconds, without zeros that say nothing.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What Prometheus reads.
#[derive(Debug, Default)]
struct Text {
    text: String,
    family: &'static str,
}

impl Text {
    /// Begins a family of samples.
    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> &mut Self {
        self.family = name;
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        self
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.part("", labels, value);
        self
    }

    /// A sample of one part of a family.
    fn part(&mut self, part: &str, labels: &[(&str, &str)], value: impl Display) {
        let family = self.family;
        if labels.is_empty() {
            return self.line(format_args!("{family}{part} {value}"));
        }
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        self.line(format_args!("{family}{part}{{{}}} {value}", labels.join(",")));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        writeln!(self.text, "{line}").unwrap_or_default();
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::deployment::State;

    /// The samples of a text by name and labels; fails on what Prometheus would not read.
    fn parse(text: &str) -> BTreeMap<String, f64> {
        let mut family = ("", "");
        let mut seen = std::collections::BTreeSet::new();
        let mut samples = BTreeMap::new();
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap();
                let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).unwrap();
                let kind = kind.strip_prefix(name).unwrap().trim_start();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
                assert!(seen.insert(name) && !words.is_empty(), "{name} is there twice, or not explained");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
                family = (name, kind);
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let part = sample.strip_prefix(family.0).expect("a sample below its family");
            let part = part.split('{').next().unwrap();
            let parts: &[&str] = if family.1 == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(parts.contains(&part), "{sample}");
            if let Some((_, labels)) = sample.split_once('{') {
                labels_are_well_formed(labels);
            }
            assert!(samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(), "{sample} twice");
        }
        samples
    }

    fn labels_are_well_formed(text: &str) {
        let mut rest = text;
        loop {
            let (name, value) = rest.split_once("=\"").expect("a label and its value");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
            let mut chars = value.char_indices();
            let end = loop {
                match chars.next().expect("a quote at the end") {
                    (_, '\\') => assert!(matches!(chars.next(), Some((_, '\\' | '"' | 'n')))),
                    (at, '"') => break at,
                    _ => {}
                }
            };
            match &value[end + 1..] {
                "}" => return,
                more => rest = more.strip_prefix(',').expect("another label"),
            }
        }
    }

    fn metrics(proxy: Option<Counts>) -> Metrics {
        let unfinished = vec![(State::Queued, 3), (State::Building, 1)];
        Metrics {
            apps: 2,
            jobs: 3,
            failed_jobs: 1,
            unfinished,
            ended: vec![(State::Live, 5)],
            backup_concerns: vec![],
            proxy,
        }
    }

    #[test]
    fn without_a_proxy_its_part_is_missing() {
        let samples = parse(&text(&metrics(None)));
        let version = concat!("rivetr_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
        let expect = [
            ("rivetr_apps", 2.0),
            ("rivetr_backup_concerns", 0.0),
            (version, 1.0),
            ("rivetr_deployments_ended_total{state=\"live\"}", 5.0),
            ("rivetr_deployments_unfinished{state=\"building\"}", 1.0),
            ("rivetr_deployments_unfinished{state=\"queued\"}", 3.0),
            ("rivetr_jobs", 3.0),
            ("rivetr_jobs_failed", 1.0),
            ("rivetr_proxy_up", 0.0),
            ("rivetr_up", 1.0),
        ];
        assert_eq!(samples, expect.map(|(name, value)| (name.to_owned(), value)).into());
    }

    #[test]
    fn what_the_proxy_counts() {
        let mut blog = AppCounts { statuses: [1, 0, 20, 3, 4, 5], micros: 1_250_000, ..AppCounts::default() };
        (blog.buckets[0], blog.buckets[10], blog.buckets[11]) = (30, 2, 1);
        (blog.bytes_in, blog.bytes_out, blog.in_flight, blog.retries) = (7, 8, 9, 10);
        let odd = AppCounts { in_flight: 1, ..AppCounts::default() };
        let counts = Counts {
            apps: [("blog".to_owned(), blog), ("a\"b\\c\nd,e=\"}".to_owned(), odd)].into(),
            connections: 11,
            turned_away: 12,
            handshakes: 13,
            failed_handshakes: 14,
            dropped_lines: 15,
        };
        let samples = parse(&text(&metrics(Some(counts))));
        for (name, value) in [
            ("rivetr_proxy_up", 1.0),
            ("rivetr_proxy_connections_total", 11.0),
            ("rivetr_proxy_connections_refused_total", 12.0),
            ("rivetr_proxy_tls_handshakes_total{result=\"ok\"}", 13.0),
            ("rivetr_proxy_tls_handshakes_total{result=\"failed\"}", 14.0),
            ("rivetr_proxy_access_log_dropped_total", 15.0),
            ("rivetr_proxy_requests_total{app=\"blog\",status=\"none\"}", 1.0),
            ("rivetr_proxy_requests_total{app=\"blog\",status=\"2xx\"}", 20.0),
            ("rivetr_proxy_requests_total{app=\"blog\",status=\"5xx\"}", 5.0),
            ("rivetr_proxy_request_duration_seconds_bucket{app=\"blog\",le=\"0.005\"}", 30.0),
            ("rivetr_proxy_request_duration_seconds_bucket{app=\"blog\",le=\"5\"}", 30.0),
            ("rivetr_proxy_request_duration_seconds_bucket{app=\"blog\",le=\"10\"}", 32.0),
            ("rivetr_proxy_request_duration_seconds_bucket{app=\"blog\",le=\"+Inf\"}", 33.0),
            ("rivetr_proxy_request_duration_seconds_count{app=\"blog\"}", 33.0),
            ("rivetr_proxy_request_duration_seconds_sum{app=\"blog\"}", 1.25),
            ("rivetr_proxy_request_bytes_total{app=\"blog\"}", 7.0),
            ("rivetr_proxy_response_bytes_total{app=\"blog\"}", 8.0),
            ("rivetr_proxy_requests_in_flight{app=\"blog\"}", 9.0),
            ("rivetr_proxy_retries_total{app=\"blog\"}", 10.0),
            (r#"rivetr_proxy_requests_in_flight{app="a\"b\\c\nd,e=\"}"}"#, 1.0),
        ] {
            assert_eq!(samples.get(name), Some(&value), "{name} in {samples:#?}");
        }
    }
}
