//! Names, moves and pauses, as tables.

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const HALF: u32 = u32::MAX / 2;

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn seconds_from_now(state: &State) -> u64 {
    state.next().unwrap().millis_since(NOW).div_ceil(1000)
}

#[test]
fn which_names_can_be_ordered() {
    for (name, can) in [
        ("blog.example.org", true),
        ("example.org", true),
        ("192.0.2.7", false),
        ("localhost", false),
        ("blog.192.0.2.7.sslip.io", false),
        ("notsslip.io", true),
    ] {
        assert_eq!(can_be_ordered(&host(name)), can, "{name}");
    }
}

#[test]
fn a_wildcard_covers_one_label() {
    let check = |name: &str, host: &str| CertName::parse(name).unwrap().covers(host);
    assert!(check("*.Example.org", "a.example.org"));
    assert!(!check("*.example.org", "a.b.example.org"));
    assert!(!check("*.example.org", "example.org"));
    assert!(check("example.org", "example.org"));
    for bad in ["*", "*.", "a.*.org", "**.example.org", "*.*.example.org"] {
        assert!(CertName::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_certificate_comes_and_is_renewed_at_two_thirds_of_its_life() {
    let mut state = State::Queued;
    assert_eq!(state.next(), None);
    state.order();
    let day = Duration::from_hours(24);
    let validity = (NOW, NOW.after(day * 90));
    for random in [0, HALF, u32::MAX] {
        let mut issued = state.clone();
        issued.issue(validity, NOW, random).unwrap();
        let days = seconds_from_now(&issued) / 86_400;
        assert!((56..=63).contains(&days), "{days} days");
    }
    state.issue(validity, NOW, 0).unwrap();
    assert_eq!(state.as_str(), "valid");
    assert!(state.issue(validity, NOW, 0).is_err() && state.as_str() == "valid");
}

#[test]
fn one_that_is_issued_as_good_as_expired_is_not_ordered_without_end() {
    let mut state = State::Ordering { failures: Failures::default() };
    state.issue((Timestamp(0), NOW), NOW, HALF).unwrap();
    assert_eq!(seconds_from_now(&state), 60);
}

#[test]
fn refusals_take_the_other_way_and_then_longer_and_longer() {
    let mut state = State::Queued;
    let expect = [(10, Way::TlsAlpn), (300, Way::Http), (1200, Way::TlsAlpn), (4800, Way::Http)];
    for (pause, way) in expect {
        state.order();
        state.fail(Trouble::Refused { reason: "no".into(), retry_after: None }, NOW, HALF).unwrap();
        assert_eq!((seconds_from_now(&state), Ways::Auto.after(state.failures())), (pause, way));
    }
    assert_eq!(Ways::Only(Way::Http).after(Failures { refused: 1, unreachable: 0 }), Way::Http);
    for _ in 0..100 {
        state.order();
        state.fail(Trouble::Refused { reason: "no".into(), retry_after: None }, NOW, HALF).unwrap();
    }
    assert_eq!(seconds_from_now(&state), 86_400);
}

#[test]
fn a_server_that_is_away_is_asked_again_soon_and_by_the_same_way() {
    let mut state = State::Queued;
    for pause in [15, 30, 60, 120, 240, 480, 900, 900] {
        state.order();
        state.fail(Trouble::Server { reason: "away".into(), retry_after: None }, NOW, HALF).unwrap();
        assert_eq!((seconds_from_now(&state), state.failures().refused), (pause, 0));
    }
}

#[test]
fn what_the_server_says_counts() {
    let hour = Duration::from_hours(1);
    for pause in [hour, Duration::ZERO] {
        let mut state = State::Ordering { failures: Failures::default() };
        let trouble = Trouble::Refused { reason: "slow down".into(), retry_after: Some(pause) };
        state.fail(trouble, NOW, HALF).unwrap();
        assert_eq!(seconds_from_now(&state), pause.as_secs().max(10));
    }
}

#[test]
fn enough_orders_are_enough_for_a_day() {
    let mut state = State::Ordering { failures: Failures { refused: 3, unreachable: 0 } };
    let until = NOW.after(Duration::from_hours(20));
    state.fail(Trouble::Spent { until }, NOW, HALF).unwrap();
    assert_eq!((state.next(), state.failures().refused), (Some(until), 3));
}

#[test]
fn a_person_asks_and_does_not_disturb_what_is_under_way() {
    let mut state = State::Valid { not_after: NOW, renew_at: NOW };
    state.ask().unwrap();
    assert_eq!(state, State::Queued);
    state.order();
    let refused = state.ask().unwrap_err().to_string();
    assert_eq!(refused, "a certificate that is ordering cannot be ordered");
    assert!(State::Queued.fail(Trouble::Spent { until: NOW }, NOW, 0).is_err());
}

#[test]
fn jitter_is_a_fifth_to_both_sides() {
    let pause = Duration::from_secs(100);
    for (random, expect) in [(0, 80), (HALF, 100), (u32::MAX, 120)] {
        assert_eq!(jittered(pause, random).as_millis().div_ceil(1000), expect);
    }
}
