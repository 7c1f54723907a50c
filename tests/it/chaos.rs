//! Everything at once: five apps are pushed, deployed and cancelled at random while the daemon is killed over and over.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::host::{CONTAINERS, Host, Repository, soon};

const APPS: [&str; 5] = ["one", "two", "three", "four", "five"];
/// How long it goes on, unless `RIVETR_TEST_CHAOS_SECONDS` says otherwise.
const SECONDS: u64 = 60;
/// From one death of the daemon to the next.
const LIFE: Duration = Duration::from_secs(10);
/// Images of an app that are kept.
const IMAGES: usize = 3;

#[test]
fn whatever_happens_at_once_no_request_is_lost_and_nothing_is_left() {
    let host = Host::boot("chaos");
    let repositories = APPS.map(|app| {
        host.rivetr(["apps", "create", app]).succeeds();
        let repository = host.sample(app);
        repository.push().succeeds();
        repository
    });
    let (seconds, seed) = (number("RIVETR_TEST_CHAOS_SECONDS", SECONDS), number("RIVETR_TEST_SEED", seed()));
    println!("chaos for {seconds} s with RIVETR_TEST_SEED={seed}");
    let until = Instant::now() + Duration::from_secs(seconds);

    let loads = APPS.map(|app| host.load(app, 40));
    let (over, is_over) = channel::<()>();
    let kills = std::thread::scope(|scope| {
        let host = &host;
        let players: Vec<_> = (1..)
            .zip(APPS.iter().zip(&repositories))
            .map(|(player, (app, repository))| {
                scope.spawn(move || play(host, app, repository, Random(seed + player), until))
            })
            .collect();
        let killer = scope.spawn(move || {
            let mut kills = 0;
            while is_over.recv_timeout(LIFE) == Err(RecvTimeoutError::Timeout) {
                host.run(["systemctl", "kill", "--signal=KILL", "rivetr.service"]).succeeds();
                kills += 1;
            }
            kills
        });
        for player in players {
            player.join().expect("each move is legal");
        }
        drop(over);
        killer.join().unwrap()
    });
    let deployments = APPS.map(|app| settled(&host, app));
    for load in loads {
        println!("chaos: {}", load.lost_nothing());
    }
    let count: usize = deployments.iter().map(Vec::len).sum();
    println!("chaos: {count} deployments, {kills} kills");
    // Another app's deployment may just be removing what killed builds left: who was turned away does not wait for it.
    let of_release = |name: &String| name.starts_with("rivetr-app-");
    soon(|| host.names(CONTAINERS, ""), |names| names.iter().all(of_release));
    for (app, deployments) in APPS.iter().zip(&deployments) {
        if let Some(number) = numbers(deployments, "failed").first() {
            let log = host.rivetr(["logs", app, "--build", &number.to_string()]);
            panic!("{app} {number} failed:\n{}", log.stdout);
        }
        host.assert_only(app, &numbers(deployments, "live")[..1]);
    }
    let kept = APPS.iter().zip(&deployments).flat_map(|(app, deployments)| {
        let lived = numbers(deployments, "live").into_iter().take(IMAGES);
        lived.map(move |number| format!("{app}:{number}"))
    });
    let mut kept: Vec<String> = kept.collect();
    kept.sort();
    assert_eq!(soon(|| host.images(), |images| *images == kept), kept, "images");
    assert!(count as u64 > seconds / 5, "hardly a chaos: {count} deployments in {seconds} s");
    host.rivetr(["doctor"]).succeeds();
}

/// Deploys an app in one way after the other. A daemon that dies meanwhile is no excuse for any other exit code.
fn play(host: &Host, app: &str, repository: &Repository, mut random: Random, until: Instant) {
    let fine = |code: i32| assert!([0, 1, 3, 5].contains(&code), "{app}: exit code {code}");
    while Instant::now() < until {
        match random.below(4) {
            0 => {
                repository.write("index.html", &format!("{app} {}", random.next()));
                repository.commit("Another page");
                repository.push();
            }
            1 => fine(host.rivetr(["deploy", app]).code),
            2 => {
                for _ in 0..=random.below(3) {
                    fine(host.rivetr(["deploy", app, "--detach"]).code);
                }
            }
            _ => {
                fine(host.rivetr(["deploy", app, "--detach"]).code);
                let newest = host.rivetr(["deployments", app, "--limit", "1", "--json"]);
                fine(newest.code);
                if newest.code == 0 {
                    let id = newest.json()["items"][0]["id"].to_string();
                    fine(host.rivetr(["cancel", &id]).code);
                }
            }
        }
    }
}

/// The deployments of an app, newest first, once all of them have ended.
fn settled(host: &Host, app: &str) -> Vec<Value> {
    // To follow one to its end breaks off where the daemon has just been killed.
    for _ in 0..20 {
        let shown = host.rivetr(["deployments", app, "--limit", "100", "--json"]);
        if shown.code != 0 {
            continue;
        }
        let items = shown.json()["items"].as_array().expect("a list").clone();
        // The newest one may have been cancelled long before the one that it waited for is done.
        let unfinished = items.iter().rev().find(|one| !one["ended"].is_string());
        let Some(unfinished) = unfinished else { return items };
        host.rivetr(["logs", app, "--build", &unfinished["number"].to_string()]);
    }
    panic!("deployments of {app} do not end");
}

fn numbers(deployments: &[Value], state: &str) -> Vec<u32> {
    let of_state = deployments.iter().filter(|one| one["state"] == state);
    of_state.map(|one| u32::try_from(one["number"].as_u64().expect("a number")).unwrap()).collect()
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

fn seed() -> u64 {
    u64::from(std::time::UNIX_EPOCH.elapsed().expect("it is later than 1970").subsec_nanos())
}

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
