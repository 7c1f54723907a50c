//! Deployments and upgrades of the proxy in a row, while clients ask over HTTP/1.1, HTTP/2 and `WebSocket`s: nobody
//! loses anything. `./dev bench switches` does the same for longer, and says how much slower answers are meanwhile.

use crate::host::Host;

/// How many there are of each, unless `RIVETR_TEST_DEPLOYMENTS` and `RIVETR_TEST_UPGRADES` say otherwise.
const DEPLOYMENTS: u64 = 6;
const UPGRADES: u64 = 3;
/// Requests a second.
const RATE: &str = "500";
/// Seconds for which a tunnel lives: an upgrade waits for those there are.
const LIFE: &str = "2";
/// Seconds between two upgrades in which nothing happens.
const QUIET: &str = "1";

#[test]
fn deployments_and_upgrades_lose_nothing_of_any_protocol() {
    let host = Host::boot("switches");
    host.bring_load();
    host.guest("answers-guest", &["blog"]).succeeds();
    let count = |variable: &str, default| std::env::var(variable).unwrap_or(u64::to_string(&default));
    let (deployments, upgrades) =
        (count("RIVETR_TEST_DEPLOYMENTS", DEPLOYMENTS), count("RIVETR_TEST_UPGRADES", UPGRADES));
    let name = host.host_of("blog");
    let ran =
        host.guest("switches-guest", &["blog", &name, &deployments, &upgrades, RATE, LIFE, QUIET]).succeeds();
    let seen = ran.json();
    println!("{deployments} deployments and {upgrades} upgrades: {seen}");
    assert_eq!(seen["failed"], 0, "{seen}");
    for protocol in ["http1", "http2", "websocket"] {
        for window in ["quiet", "start", "switch", "upgrade"] {
            let met = &seen["windows"][window][protocol]["count"];
            assert!(met.as_u64() > Some(10), "hardly a load: {met} of {protocol} in {window}: {seen}");
        }
    }
    host.assert_only("blog", &[1 + deployments.parse::<u32>().unwrap()]);
}
