//! `rivetr requests`: what was answered for each app since the proxy started.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use super::table::{or_dash, table};
use crate::api::wire::{self, List};

/// Show the requests to each app since the proxy started: how many, how fast, and how many went wrong
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr requests")]
pub struct Requests {}

impl Requests {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.get("/api/requests").await?;
        session.show(&answer, |requests: List<wire::Requests>| words(&requests.items))
    }
}

fn words(apps: &[wire::Requests]) -> String {
    let rows: Vec<_> = apps.iter().filter(|app| app.requests + app.in_flight > 0).map(row).collect();
    if rows.is_empty() {
        return "No request has come since the proxy started.\n".to_owned();
    }
    table(["APP", "REQUESTS", "ERRORS", "MEDIAN", "P99", "IN", "OUT", "OPEN"], &rows)
}

fn row(app: &wire::Requests) -> [String; 8] {
    let name = match app.app.as_str() {
        "_rivetr" => "rivetr itself",
        "_none" => "no app",
        name => name,
    };
    [
        name.to_owned(),
        app.requests.to_string(),
        share(app.errors, app.requests),
        or_dash(app.median_us.map(time).as_deref()),
        or_dash(app.p99_us.map(time).as_deref()),
        bytes(app.bytes_in),
        bytes(app.bytes_out),
        app.in_flight.to_string(),
    ]
}

/// In percent, to the hundredth: one of ten thousand is not none.
fn share(part: u64, whole: u64) -> String {
    let hundredths = part.saturating_mul(10_000).checked_div(whole).unwrap_or(0);
    match (part, hundredths) {
        (0, _) => "0 %".to_owned(),
        (_, 0) => "< 0.01 %".to_owned(),
        (_, hundredths) => format!("{}.{:02} %", hundredths / 100, hundredths % 100),
    }
}

fn time(micros: u64) -> String {
    match micros {
        0..1_000_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        _ => format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000),
    }
}

fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut unit) = (count, "B");
    for larger in units.into_iter().skip(1) {
        if whole < 10 * 1024 {
            break;
        }
        (whole, unit) = (whole / 1024, larger);
    }
    format!("{whole} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (part, whole, expect) in [
            (0, 0, "0 %"),
            (0, 9, "0 %"),
            (1, 3, "33.33 %"),
            (1, 10_000, "0.01 %"),
            (1, 10_001, "< 0.01 %"),
            (5, 5, "100.00 %"),
        ] {
            assert_eq!(share(part, whole), expect);
        }
        for (micros, expect) in
            [(0, "0.0 ms"), (2540, "2.5 ms"), (999_999, "999.9 ms"), (1_250_000, "1.25 s")]
        {
            assert_eq!(time(micros), expect);
        }
        for (count, expect) in [
            (0, "0 B"),
            (10_239, "10239 B"),
            (10_240, "10 KiB"),
            (20 << 20, "20 MiB"),
            (1 << 60, "1048576 TiB"),
        ] {
            assert_eq!(bytes(count), expect);
        }
    }
}
