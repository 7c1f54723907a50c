//! Jobs: timers of systemd that run commands of apps, with their history.

use std::collections::BTreeSet;

use rivetr::domain::job::Schedule;
use serde_json::Value;

use crate::host::{Host, Mode, soon};

const APP: [&str; 9] =
    ["apps", "create", "blog", "--port", "8080", "--env", "WHO=me", "--volume", "data:/data"];

/// How many lines a file in the app's volume has.
fn lines(host: &Host, file: &str) -> usize {
    host.rivetr(["exec", "blog", "--", "sh", "-c", &format!("cat /data/{file} 2>/dev/null; true")])
        .stdout
        .lines()
        .count()
}

fn grows(host: &Host, file: &str, by: usize) {
    let before = lines(host, file);
    let seen = soon(|| lines(host, file), |seen| *seen >= before + by);
    assert!(seen >= before + by, "{file} has {seen} lines, and had {before}");
}

fn create(host: &Host, name: &str, more: &[&str], script: &str) {
    let head = ["jobs", "create", "blog", name];
    host.rivetr(head.into_iter().chain(more.iter().copied()).chain(["--", "sh", "-c", script])).succeeds();
}

/// The runs of a job, newest first.
fn runs(host: &Host, job: &str) -> Vec<Value> {
    let listed = host.rivetr(["jobs", "runs", "blog", job, "--limit", "100", "--json"]).succeeds().json();
    listed["items"].as_array().unwrap().clone()
}

/// Waits until the newest run of a job has ended in this way.
fn last_ended(host: &Host, job: &str, outcome: &str) -> Value {
    let ended = |runs: &Vec<Value>| runs.first().is_some_and(|run| run["outcome"] == outcome);
    let seen = soon(|| runs(host, job), ended);
    assert!(ended(&seen), "{job} did not end as {outcome}: {seen:?}");
    seen[0].clone()
}

fn nothing_runs(host: &Host, words: &str) {
    let none = soon(|| host.run(["pgrep", "-f", words]).code, |code| *code == 1);
    assert_eq!(none, 1, "{words} still runs");
}

fn units(host: &Host) -> Vec<String> {
    let manager = if host.mode() == Mode::Rootless { "--user" } else { "--system" };
    let list = ["systemctl", manager, "list-units", "--all", "--plain", "--no-legend"];
    host.names(list, "rivetr-job-")
}

fn unit_files(host: &Host) -> Vec<String> {
    let folder = match host.mode() {
        Mode::Rootless => "/var/lib/rivetr/.config/systemd/user",
        Mode::Rootful => "/etc/systemd/system",
    };
    let mut files = host.list(folder);
    files.extend(host.list(&format!("{folder}/timers.target.wants")));
    files.extend(host.list(&format!("{}/job-blog", host.quadlets())));
    files.retain(|file| file.starts_with("rivetr-job-"));
    files
}

/// When the timer of a job last elapsed, as it remembers on disk.
fn stamp(host: &Host, job: &str) -> String {
    let folder = match host.mode() {
        Mode::Rootless => "/var/lib/rivetr/.local/share/systemd/timers",
        Mode::Rootful => "/var/lib/systemd/timers",
    };
    format!("{folder}/stamp-rivetr-job-blog_{job}.timer")
}

#[test]
fn jobs_run_in_a_container_of_their_own_and_in_the_apps_and_go_with_it() {
    let host = Host::boot("jobs");
    host.rivetr(APP).succeeds();
    create(&host, "fresh", &["--schedule", "*:*:*"], "echo $WHO >> /data/fresh; echo from $HOSTNAME");
    let inside = ["--schedule", "*:*:*", "--place", "running"];
    create(&host, "inside", &inside, "cat /proc/1/comm >> /data/inside; echo seen; echo $WHO >&2");
    create(&host, "once", &["--schedule", "@yearly"], "echo by hand; exit 3");
    host.rivetr(["jobs", "list", "blog"]).succeeds().says("not-live");
    host.rivetr(["jobs", "run", "blog", "once"]).exits(5).says("not live yet");
    assert_eq!(units(&host), [""; 0]);

    let repository = host.sample("blog");
    repository.push().succeeds();
    grows(&host, "fresh", 3);
    grows(&host, "inside", 3);
    let timers = host.systemctl(["list-timers", "--all"]).succeeds();
    timers.says("rivetr-job-blog_fresh.timer").says("rivetr-job-blog_inside.timer");
    last_ended(&host, "inside", "succeeded");
    let wrote =
        soon(|| host.rivetr(["jobs", "logs", "blog", "inside"]).stdout, |log| log.contains("seen\nme"));
    assert!(wrote.contains("seen\nme"), "{wrote}");

    // By hand, and told as such.
    host.rivetr(["jobs", "run", "blog", "once"]).succeeds();
    let run = last_ended(&host, "once", "failed");
    assert_eq!((&run["trigger"], &run["status"]), (&Value::from("hand"), &Value::from(3)));
    host.rivetr(["jobs", "logs", "blog", "once"]).succeeds().says("by hand");
    host.rivetr(["doctor"]).says("rivetr-job-blog_once");

    // While rivetr is stopped, and each run once in the history afterwards.
    host.run(["systemctl", "stop", "rivetr.service", "rivetr.socket", "rivetr-http.socket"]).succeeds();
    let invocations = |job: &str| -> Vec<String> {
        runs(&host, job).iter().map(|run| run["invocation"].as_str().unwrap().to_owned()).collect()
    };
    let count = "podman exec rivetr-app-blog-1 sh -c 'wc -l < /data/fresh'";
    let wait = "n=$(eval \"$0\"); until test $(eval \"$0\") -ge $((n + 3)); do sleep 0.2; done";
    host.as_owner(["timeout", "60", "sh", "-c", wait, count]).succeeds();
    host.run(["systemctl", "start", "rivetr.socket", "rivetr-http.socket", "rivetr.service"]).succeeds();
    grows(&host, "fresh", 2);
    let told = invocations("fresh");
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len(), "a run is there twice");
    let asked =
        host.systemctl(["show", "--value", "--property=InvocationID", "rivetr-job-blog_fresh.service"]);
    let newest = asked.succeeds().stdout.trim().to_owned();
    let seen = soon(|| invocations("fresh"), |told| told.contains(&newest));
    assert!(seen.contains(&newest), "{newest} is not among {seen:?}");

    // In the next release.
    let load = host.load("blog", 50);
    host.rivetr(["deploy", "blog"]).succeeds();
    grows(&host, "fresh", 2);
    grows(&host, "inside", 2);
    load.lost_nothing();
    host.systemctl(["is-active", "rivetr-app-blog-2.service"]).succeeds();

    // Of a stopped app nothing runs; a paused job runs by hand alone.
    host.rivetr(["stop", "blog"]).succeeds();
    assert_eq!(unit_files(&host), [""; 0]);
    host.rivetr(["jobs", "run", "blog", "once"]).exits(5).says("stopped");
    host.rivetr(["start", "blog"]).succeeds();
    grows(&host, "fresh", 2);
    host.rivetr(["jobs", "set", "blog", "fresh", "--enabled", "false"]).succeeds();
    // The run that was under way goes on to its end.
    let paused =
        soon(|| host.rivetr(["jobs", "show", "blog", "fresh"]).stdout, |shown| shown.contains("paused"));
    assert!(paused.contains("paused"), "{paused}");
    assert!(!unit_files(&host).contains(&"rivetr-job-blog_fresh.timer".to_owned()));
    host.rivetr(["jobs", "delete", "blog", "inside"]).succeeds();
    assert!(!units(&host).iter().any(|unit| unit.contains("inside")));

    host.rivetr(["apps", "delete", "blog", "--yes"]).succeeds();
    assert_eq!((units(&host), unit_files(&host)), (vec![], vec![]));
    let rows = host.database().query_row("SELECT count(*) FROM resident", [], |row| row.get::<_, u32>(0));
    assert_eq!(rows.unwrap(), 0, "addresses of jobs");
}

#[test]
fn runs_do_not_overlap_and_one_that_hangs_is_ended() {
    let host = Host::boot("jobsend");
    host.rivetr(APP).succeeds();
    host.sample("blog").push().succeeds();
    let slow =
        "mkdir /data/lock || echo twice >> /data/overlap; sleep 2; rmdir /data/lock; echo >> /data/done";
    create(&host, "slow", &["--schedule", "*:*:*"], slow);
    grows(&host, "done", 3);
    assert_eq!(lines(&host, "overlap"), 0);
    host.rivetr(["jobs", "delete", "blog", "slow"]).succeeds();

    // Neither listens, and one has others do its work.
    let deaf = "trap '' TERM HUP INT; sleep 4712 & sleep 4712";
    for place in ["fresh", "running"] {
        let more = ["--schedule", "@yearly", "--timeout", "3", "--place", place];
        create(&host, place, &more, deaf);
        host.rivetr(["jobs", "run", "blog", place]).succeeds();
        last_ended(&host, place, "timed-out");
        nothing_runs(&host, "^sleep 4712");

        host.rivetr(["jobs", "set", "blog", place, "--timeout", "600"]).succeeds();
        host.rivetr(["jobs", "run", "blog", place]).succeeds();
        host.run(["timeout", "60", "sh", "-c", "until pgrep -f '^sleep 4712'; do sleep 0.1; done"])
            .succeeds();
        host.rivetr(["jobs", "run", "blog", place]).exits(5).says("runs already");
        // rivetr hears of it a moment later than whoever looks at the processes.
        let begun = |runs: &Vec<Value>| runs.first().is_some_and(|run| run["outcome"].is_null());
        assert!(begun(&soon(|| runs(&host, place), begun)), "{place} is not known to run");
        host.rivetr(["jobs", "cancel", "blog", place]).succeeds();
        let run = last_ended(&host, place, "cancelled");
        assert_eq!(run["trigger"], "hand");
        nothing_runs(&host, "^sleep 4712");
        assert_eq!(host.get("blog").status, 200);
    }

    // What cannot be is told at its field.
    let refused = |more: &[&str], words: &str| {
        let head = ["jobs", "create", "blog", "odd"];
        let ran = host.rivetr(head.into_iter().chain(more.iter().copied()).chain(["--", "true"]));
        ran.exits(5).says(words);
    };
    refused(&["--schedule", "0 0 31 2 *"], "no such day");
    refused(&["--schedule", "Foo 10:00"], "systemd does not understand");
    refused(&["--schedule", "2020-01-01"], "never comes");
    refused(&["--schedule", "@daily", "--timezone", "Mars/Olympus"], "no time zone");
}

#[test]
fn what_was_missed_while_the_host_was_down_runs_at_boot_without_rivetr() {
    let mut host = Host::boot("jobsboot");
    host.rivetr(APP).succeeds();
    host.sample("blog").push().succeeds();
    create(&host, "nightly", &["--schedule", "0 3 * * *", "--catch-up", "true"], "echo >> /data/nightly");
    create(&host, "other", &["--schedule", "0 3 * * *"], "echo >> /data/other");
    assert_eq!(lines(&host, "nightly"), 0, "nothing was missed yet");
    host.run(["touch", "--date=3 days ago", &stamp(&host, "nightly")]).succeeds();
    host.run(["systemctl", "mask", "rivetr.service"]).succeeds();
    host.reboot();
    host.wait_for_unit("rivetr-app-blog-1.service");
    let ran = "until test -n \"$(journalctl --quiet _UID=$0 MESSAGE_ID=39f53479d3a045ac8e11786248231fbf | grep nightly.service)\"; do sleep 0.2; done";
    let uid = host.as_owner(["id", "-u"]).succeeds().stdout.trim().to_owned();
    host.run(["timeout", "60", "sh", "-c", ran, &uid]).succeeds();

    host.run(["systemctl", "unmask", "rivetr.service"]).succeeds();
    host.run(["systemctl", "start", "rivetr.service"]).succeeds();
    last_ended(&host, "nightly", "succeeded");
    assert_eq!((lines(&host, "nightly"), lines(&host, "other")), (1, 0));

    // A job of the same name begins anew, and makes up for nothing.
    host.run(["touch", "--date=3 days ago", &stamp(&host, "nightly")]).succeeds();
    host.rivetr(["jobs", "delete", "blog", "nightly"]).succeeds();
    assert!(!host.path(&stamp(&host, "nightly")).exists());
    create(&host, "nightly", &["--schedule", "0 3 * * *", "--catch-up", "true"], "echo >> /data/nightly");
    host.rivetr(["jobs", "list", "blog"]).succeeds().says("waiting");
    assert_eq!(runs(&host, "nightly"), Vec::<Value>::new());
}

/// The next moments of five fields, counted by hand from 2026-01-01 in days, hours and minutes.
fn by_cron(fields: &str, count: usize) -> Vec<String> {
    const NAMES: [&[&str]; 5] = [
        &[],
        &[],
        &[],
        &["", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    ];
    let most = [59, 23, 31, 12, 7];
    let said: Vec<&str> = fields.split(' ').collect();
    let has = |field: usize, value: usize| {
        let number = |word: &str| {
            NAMES[field].iter().position(|name| *name == word).unwrap_or_else(|| word.parse().unwrap())
        };
        said[field].split(',').any(|item| {
            let (range, step) = item.split_once('/').map_or((item, 1), |(r, s)| (r, s.parse().unwrap()));
            let (first, last) = match range.split_once('-') {
                _ if range == "*" => (usize::from(field == 2 || field == 3), most[field]),
                Some((first, last)) => (number(first), number(last)),
                None if item.contains('/') => (number(range), most[field]),
                None => (number(range), number(range)),
            };
            (first..=last).contains(&value) && (value - first).is_multiple_of(step)
        })
    };
    let (mut year, mut month, mut day, mut weekday, mut found) = (2026, 1, 1, 4, Vec::new());
    while found.len() < count {
        let by_day = has(2, day);
        let by_weekday = has(4, weekday) || weekday == 0 && has(4, 7);
        let both = said[2].starts_with('*') || said[4].starts_with('*');
        if has(3, month) && if both { by_day && by_weekday } else { by_day || by_weekday } {
            for (hour, minute) in (0..24).flat_map(|hour| (0..60).map(move |minute| (hour, minute))) {
                if has(1, hour) && has(0, minute) {
                    found.push(format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:00"));
                }
            }
        }
        let leap = usize::from(year % 4 == 0);
        let days = [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
        weekday = (weekday + 1) % 7;
        day += 1;
        if day > days {
            (day, month) = (1, month + 1);
        }
        if month > 12 {
            (month, year) = (1, year + 1);
        }
    }
    found.truncate(count);
    found
}

#[test]
fn systemd_runs_cron_expressions_when_cron_would() {
    let host = Host::boot("jobscron");
    for fields in [
        "* * * * *",
        "0 3 * * *",
        "5 0 * 8 *",
        "15 14 1 * *",
        "0 22 * * 1-5",
        "23 0-20/2 * * *",
        "5 4 * * sun",
        "0 0,12 1 */2 *",
        "0 4 8-14 * *",
        "0 0 1,15 * 3",
        "*/5 * * * *",
        "*/7 * * * *",
        "50/5 * * * *",
        "0 */6 * * *",
        "10-20/5 8-18/3 * * *",
        "0 0 * * 0",
        "0 0 * * 7",
        "0 0 * * 5-7",
        "0 0 * * 0-2",
        "0 0 * * */2",
        "0 0 * * 1,3,5",
        "0 0 13 * 5",
        "0 0 13 * fri",
        "30 4 1,15 * 5",
        "0 0 */2 * 1",
        "0 0 1-7 * */7",
        "0 0 1-7 * 1",
        "0 0 29 2 *",
        "0 0 31 * *",
        "0 0 31 2,4,5 *",
        "0 0 31 2 1",
        "0 0 1 jan,jul *",
        "0 0 1 jan-mar *",
        "59 23 31 12 *",
        "0 0 * 2 *",
        "1,2,3,5,8 13 * * *",
        "0 9-17 * * mon-fri",
        "0,30 9-17 * * 1-5",
        "15,45 8,12,16 * 3-5 2-4",
        "0 0 1-31 * 2",
        "0 12 * 6-8 0,6",
        "45 23 28-31 * *",
    ] {
        let calendars = Schedule::parse(fields).unwrap().calendars(None);
        let ask = ["systemd-analyze", "calendar", "--iterations=6", "--base-time=2026-01-01 00:00:00 UTC"];
        // The moment itself does not count to systemd.
        let ask = ask.map(|word| word.replace("2026-01-01 00:00:00", "2025-12-31 23:59:59"));
        let told = host.run(ask.into_iter().chain(calendars.iter().cloned())).succeeds().stdout;
        let moment = |line: &str| -> Option<String> {
            let line = line.trim();
            let rest = line.strip_prefix("Next elapse: ").or_else(|| {
                line.strip_prefix("Iteration #").and_then(|rest| rest.split_once(": ")).map(|(_, rest)| rest)
            })?;
            let words: Vec<&str> = rest.split(' ').collect();
            Some(format!("{} {}", words[1], words[2]))
        };
        let mut moments: BTreeSet<String> = told.lines().filter_map(moment).collect();
        let seen: Vec<String> = std::iter::from_fn(|| moments.pop_first()).take(6).collect();
        assert_eq!(seen, by_cron(fields, 6), "{fields} is {calendars:?}");
    }
}
