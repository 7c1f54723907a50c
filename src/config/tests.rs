//! Layers, overrides and every kind of mistake, as tables; and the annotated example that is shipped.

use std::collections::BTreeSet;

use super::environment::NOT_SETTINGS;
use super::*;

const EXAMPLE: &str = include_str!("../../packaging/rivetr.toml");

fn explain_text(text: &str, variables: &[(&str, &str)]) -> Result<Effective, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file.as_file(), text.as_bytes()).unwrap();
    let flags = Flags { config: Some(file.path().to_owned()) };
    let environment = Environment::of(1000, "/home/a", variables.iter().copied());
    explain(&flags, &environment)
        .map_err(|error| error.to_string().replace(&file.path().display().to_string(), "F"))
}

fn value_and_origin(effective: &Effective, section: &str, name: &str) -> (String, String) {
    let (_, value, origin) =
        effective.entries().find(|(key, ..)| (key.section, key.name) == (section, name)).unwrap();
    (value.to_string(), origin.to_string())
}

#[test]
fn every_key_takes_a_good_value() {
    for (section, name, written, value) in [
        ("log", "level", "\"debug\"", "\"debug\""),
        ("instance", "url", "\"http://rivetr.example.org:8080/\"", "\"http://rivetr.example.org:8080\""),
        ("instance", "base_domain", "\"Apps.example.org\"", "\"apps.example.org\""),
        ("api", "listen", "\"[::1]:7000\"", "\"[::1]:7000\""),
        ("proxy", "listen", "\"0.0.0.0:80\"", "\"0.0.0.0:80\""),
        ("proxy", "listen_tls", "\"0.0.0.0:443\"", "\"0.0.0.0:443\""),
        ("proxy", "workers", "2", "2"),
        ("proxy", "access_log", "\"sampled\"", "\"sampled\""),
        ("proxy", "access_log_sample", "10", "10"),
        ("proxy", "access_log_query", "true", "true"),
        ("proxy", "access_log_file", "\"/var/log/rivetr/access.log\"", "\"/var/log/rivetr/access.log\""),
        ("proxy", "trusted", "[\"10.0.0.0/8\", \"::1\"]", "[\"10.0.0.0/8\",\"::1/128\"]"),
        ("proxy", "proxy_protocol", "true", "true"),
        ("network", "pool", "\"10.0.0.0/8\"", "\"10.0.0.0/8\""),
        ("build", "memory_mb", "0x1000", "4096"),
        ("build", "cpu_percent", "50", "50"),
        ("build", "timeout_s", "3_600", "3600"),
        ("build", "concurrency", "2", "2"),
        ("deploy", "concurrency", "2", "2"),
        ("deploy", "drain_timeout_s", "0", "0"),
        ("deploy", "keep_images", "1", "1"),
        ("deploy", "keep_deployments", "1", "1"),
        ("deploy", "queue_max", "1", "1"),
        ("deploy", "log_limit_mb", "1", "1"),
        ("git", "protocols", "[\"https\", \"http\"]", "[\"https\",\"http\"]"),
        ("git", "timeout_s", "60", "60"),
        ("git", "max_size_mb", "10", "10"),
        ("acme", "enabled", "false", "false"),
        ("acme", "directory", "\"https://ca.test/dir\"", "\"https://ca.test/dir\""),
        ("acme", "email", "\"ada@example.org\"", "\"ada@example.org\""),
        ("acme", "ca_file", "\"/etc/ca.pem\"", "\"/etc/ca.pem\""),
        ("acme", "challenge", "\"http-01\"", "\"http-01\""),
        ("acme", "dns_check", "false", "false"),
        ("audit", "retention_days", "90", "90"),
        ("sessions", "idle_s", "3600", "3600"),
        ("sessions", "longest_s", "86400", "86400"),
        ("sessions", "proof_s", "0", "0"),
    ] {
        let effective = explain_text(&format!("[{section}]\n{name} = {written}\n"), &[]).unwrap();
        let found = value_and_origin(&effective, section, name);
        assert_eq!(found.0, value, "[{section}] {name}");
        assert!(found.1.ends_with(":2"), "{found:?}");
        let others = effective.entries().filter(|(_, _, origin)| *origin != Origin::Default).count();
        assert_eq!(others, 1, "[{section}] {name} changed another key");
    }
}

#[test]
fn mistakes_are_named_with_place_and_cure() {
    let number = "expected a whole number from 64 to 1048576";
    let network = "expected a private IPv4 network with a prefix up to 24, such as \"10.90.0.0/16\"";
    let loopback = "expected a loopback address and a port, such as \"127.0.0.1:7480\"";
    for (text, expect) in [
        ("[build]\nmemory_mb = \"lots\"", format!("F:2: [build] memory_mb = \"lots\": {number}")),
        ("[build]\n\nmemory_mb = 63", format!("F:3: [build] memory_mb = 63: {number}")),
        ("[build]\nmemory_mb = -1", format!("F:2: [build] memory_mb = -1: {number}")),
        ("[build]\nmemory_mb = 1.5", format!("F:2: [build] memory_mb = 1.5: {number}")),
        ("[build]\nmemory_mb = 99999999999", format!("F:2: [build] memory_mb = 99999999999: {number}")),
        ("build.memory_mb = true", format!("F:1: [build] memory_mb = true: {number}")),
        ("[build]\nmemory = 1", "F:2: [build] has no key \"memory\"; did you mean memory_mb?".to_owned()),
        (
            "[api]\ncolour = 1",
            "F:2: [api] has no key \"colour\"; its keys are listen".to_owned(),
        ),
        ("[buidl]\nmemory_mb = 1", "F:1: there is no section [buidl]; did you mean [build]?".to_owned()),
        ("memory_mb = 512", "F:1: there is no section [memory_mb]; put it below [build]".to_owned()),
        (
            "[colours]",
            "F:1: there is no section [colours]; the sections are log, instance, api, proxy, network, build, \
             deploy, git, volumes, acme, audit, sessions"
                .to_owned(),
        ),
        (
            "build = 1",
            "F:1: build is a section: write [build] on a line of its own, and its keys below".to_owned(),
        ),
        (
            "[log]\nlevel = \"loud\"",
            "F:2: [log] level = \"loud\": expected one of \"error\", \"warn\", \"info\", \"debug\", \"trace\""
                .to_owned(),
        ),
        ("[network]\npool = \"10.90.0.1/16\"", format!("F:2: [network] pool = \"10.90.0.1/16\": {network}")),
        ("[network]\npool = \"8.8.0.0/16\"", format!("F:2: [network] pool = \"8.8.0.0/16\": {network}")),
        ("[api]\nlisten = \"0.0.0.0:7480\"", format!("F:2: [api] listen = \"0.0.0.0:7480\": {loopback}")),
        ("[api]\nlisten = \"127.0.0.1:0\"", format!("F:2: [api] listen = \"127.0.0.1:0\": {loopback}")),
        (
            "[instance]\nurl = \"ftp://a.example\"",
            "F:2: [instance] url = \"ftp://a.example\": expected an address such as \
             \"https://rivetr.example.org\" or \"http://192.0.2.7:8080\""
                .to_owned(),
        ),
        (
            "[git]\nprotocols = [\"ext\"]",
            "F:2: [git] protocols = [\"ext\"]: expected a list of \"https\", \"ssh\", \"http\"".to_owned(),
        ),
        (
            "[git]\nprotocols = []",
            "F:2: [git] protocols = []: expected a list of \"https\", \"ssh\", \"http\"".to_owned(),
        ),
    ] {
        assert_eq!(explain_text(text, &[]).unwrap_err(), expect, "{text}");
    }
}

#[test]
fn mistakes_about_the_proxy_are_named_too() {
    for (text, expect) in [
        (
            "[proxy]\naccess_log = \"some\"",
            "F:2: [proxy] access_log = \"some\": expected one of \"off\", \"errors\", \"sampled\", \"all\"",
        ),
        ("[proxy]\naccess_log_query = 1", "F:2: [proxy] access_log_query = 1: expected true or false"),
        (
            "[proxy]\naccess_log_file = \"access.log\"",
            "F:2: [proxy] access_log_file = \"access.log\": expected an absolute path of a file",
        ),
        (
            "[proxy]\ntrusted = [\"10.0.0.0/33\"]",
            "F:2: [proxy] trusted = [\"10.0.0.0/33\"]: expected a list of networks such as [\"10.0.0.0/8\", \
             \"2001:db8::/32\"]",
        ),
        (
            "[proxy]\nproxy_protocol = \"yes\"",
            "F:2: [proxy] proxy_protocol = \"yes\": expected true or false",
        ),
    ] {
        assert_eq!(explain_text(text, &[]).unwrap_err(), expect, "{text}");
    }
}

#[test]
fn broken_toml_is_named_with_its_line() {
    for (text, line) in
        [("[build\n", 1), ("[build]\nmemory_mb = \n", 2), ("[log]\n[log]\n", 2), ("\n\na b\n", 3)]
    {
        let error = explain_text(text, &[]).unwrap_err();
        assert!(error.starts_with(&format!("F:{line}: not valid TOML: ")), "{text:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let error =
        explain_text("[build]\nmemory_mb = 1\ncolour = 2\n", &[("RIVETR_LOG_LEVEL", "loud")]).unwrap_err();
    assert_eq!(error.lines().count(), 3, "{error}");
}

#[test]
fn a_long_value_is_cut_and_stays_on_its_line() {
    let text = format!("[build]\nmemory_mb = \"\"\"a\nb{}\"\"\"", "c".repeat(10_000));
    let error = explain_text(&text, &[]).unwrap_err();
    assert!(error.len() < 200 && error.lines().count() == 1, "{error}");
}

#[test]
fn the_environment_overrides_and_is_checked_likewise() {
    let effective = explain_text(
        "[build]\nmemory_mb = 512",
        &[
            ("RIVETR_BUILD_MEMORY_MB", "1024"),
            ("RIVETR_GIT_PROTOCOLS", "ssh, https"),
            ("RIVETR_PROXY_ACCESS_LOG_QUERY", "true"),
            ("RIVETR_TOKEN", "t"),
        ],
    )
    .unwrap();
    assert_eq!(
        value_and_origin(&effective, "build", "memory_mb"),
        ("1024".to_owned(), "RIVETR_BUILD_MEMORY_MB".to_owned())
    );
    assert_eq!(value_and_origin(&effective, "git", "protocols").0, "[\"ssh\",\"https\"]");
    assert_eq!(value_and_origin(&effective, "proxy", "access_log_query").0, "true");
    for (variable, value, expect) in [
        (
            "RIVETR_BUILD_MEMORY_MB",
            "lots",
            "RIVETR_BUILD_MEMORY_MB = \"lots\": expected a whole number from 64 to 1048576",
        ),
        (
            "RIVETR_BUILD_MEMORY",
            "512",
            "environment variable RIVETR_BUILD_MEMORY means nothing to rivetr; did you mean RIVETR_BUILD_MEMORY_MB?",
        ),
        (
            "RIVETR_TOKENS",
            "t",
            "environment variable RIVETR_TOKENS means nothing to rivetr; did you mean RIVETR_TOKEN?",
        ),
        (
            "RIVETR_XXXXXXXXXXXXXXXXXXXXXXX",
            "1",
            "environment variable RIVETR_XXXXXXXXXXXXXXXXXXXXXXX means nothing to rivetr; unset it",
        ),
    ] {
        assert_eq!(explain_text("", &[(variable, value)]).unwrap_err(), expect);
    }
    assert!(explain_text("", &[("RIVETR_BUILD_MEMORY_MB", ""), ("HOME", "/x"), ("RIVETRX", "1")]).is_ok());
}

#[test]
fn what_is_no_setting_is_never_shown() {
    let secret = "rvt_secret";
    let mut variables = NOT_SETTINGS.map(|name| (name, secret)).to_vec();
    let effective = explain_text("", &variables).unwrap();
    assert!(effective.entries().all(|(_, value, origin)| !format!("{value}{origin}").contains(secret)));
    assert!(!format!("{:?}", Environment::of(1000, "/home/a", variables.iter().copied())).contains(secret));
    variables.extend([("RIVETR_TOKNE", secret), ("RIVETR_LOG_LEVEL", "loud")]);
    let error = explain_text("", &variables).unwrap_err();
    assert!(error.contains("RIVETR_TOKNE") && error.contains("loud") && !error.contains(secret), "{error}");
}

#[test]
fn later_layers_win_and_config_replaces_them() {
    let home = tempfile::tempdir().unwrap();
    let own = home.path().join(".config/rivetr/rivetr.toml");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    let environment = Environment::of(1000, home.path().to_str().unwrap(), []);
    assert_eq!(environment.layers().last(), Some(&own));
    create_file(&own, "[build]\nmemory_mb = 512\n");
    let effective = explain(&Flags::default(), &environment).unwrap();
    assert_eq!(effective.files.last(), Some(&own));
    assert_eq!(effective.settings.build.memory_mb, 512);

    let only = home.path().join("only.toml");
    create_file(&only, "[build]\ncpu_percent = 50\n");
    let effective = explain(&Flags { config: Some(only.clone()) }, &environment).unwrap();
    assert_eq!((effective.settings.build.memory_mb, effective.settings.build.cpu_percent), (2048, 50));
    assert_eq!(effective.files, [only]);

    let mut draft = Draft {
        settings: Settings::defaults(environment.place()),
        origins: Vec::new(),
        problems: Vec::new(),
    };
    draft.apply_file(Path::new("/a"), "[build]\nmemory_mb = 100\ncpu_percent = 10");
    draft.apply_file(Path::new("/b"), "[build]\nmemory_mb = 200");
    assert!(draft.problems.is_empty());
    assert_eq!((draft.settings.build.memory_mb, draft.settings.build.cpu_percent), (200, 10));
}

fn create_file(path: &Path, text: &str) {
    std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), text.as_bytes()).unwrap();
}

#[test]
fn files_that_cannot_be_read_are_errors() {
    let home = tempfile::tempdir().unwrap();
    let environment = Environment::of(1000, "/home/a", []);
    let load_from =
        |path: PathBuf| load(&Flags { config: Some(path) }, &environment).unwrap_err().to_string();
    assert!(load_from(home.path().join("none")).contains("there is no such file"));
    assert!(load_from(home.path().to_owned()).contains("cannot be read"));
    let large = home.path().join("large");
    std::fs::File::create(&large).unwrap().set_len(FILE_MAX + 1).unwrap();
    assert!(load_from(large).contains("larger than"));
    let binary = home.path().join("binary");
    std::io::Write::write_all(&mut std::fs::File::create(&binary).unwrap(), b"\xff\xfe").unwrap();
    assert!(load_from(binary).contains("cannot be read"));
}

#[test]
fn an_account_is_a_name_and_a_key() {
    let both = "[acme]\neab_kid = \"k\"\neab_hmac_key_file = \"/k\"";
    assert!(explain_text(both, &[]).is_ok());
    for (text, words) in [
        ("eab_kid = \"k\"", "[acme] eab_kid = \"k\": expected eab_hmac_key_file beside it"),
        ("eab_hmac_key_file = \"/k\"", "[acme] eab_hmac_key_file = \"/k\": expected eab_kid beside it"),
        (
            "directory = \"http://ca.test\"",
            "expected an address such as \"https://ca.example.org/directory\"",
        ),
        ("email = \"ada@example.org?cc=x@y\"", "expected an address such as"),
        ("ca_file = \"ca.pem\"", "expected an absolute path"),
        ("enabled = 1", "expected true or false"),
    ] {
        let error = explain_text(&format!("[acme]\n{text}"), &[]).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn an_address_brings_its_own_domain() {
    for (text, domain) in [
        ("", "null"),
        ("[instance]\nurl = \"http://rivetr.example.org\"", "null"),
        ("[instance]\nurl = \"http://192.0.2.7:8080\"", "\"192.0.2.7.sslip.io\""),
        ("[instance]\nurl = \"http://192.0.2.7\"\nbase_domain = \"a.example\"", "\"a.example\""),
    ] {
        let effective = explain_text(text, &[]).unwrap();
        assert_eq!(value_and_origin(&effective, "instance", "base_domain").0, domain, "{text}");
    }
    let effective = explain_text("[instance]\nurl = \"http://192.0.2.7\"", &[]).unwrap();
    let (_, origin) = value_and_origin(&effective, "instance", "base_domain");
    assert_eq!(origin, "follows from [instance] url");
}

/// In the example, prose begins with `# `; a key that would only repeat its default begins with `#` alone.
#[test]
fn the_example_shows_every_key_with_its_default() {
    let switched_on: Vec<&str> = EXAMPLE
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .collect();
    let shown = explain_text(&switched_on.join("\n"), &[]).unwrap();
    let defaults = explain_text("", &[]).unwrap();
    let mut missing = BTreeSet::new();
    for ((key, value, origin), (_, default, _)) in shown.entries().zip(defaults.entries()) {
        if !matches!(origin, Origin::File { .. }) {
            missing.insert((key.section, key.name));
        }
        assert!(
            default.is_null() || value == default,
            "[{}] {}: {value}, not {default}",
            key.section,
            key.name
        );
        let about = key.about.split(". ").next().unwrap().trim_end_matches('.');
        let prose = EXAMPLE.lines().filter_map(|line| line.strip_prefix("# ")).collect::<Vec<_>>().join(" ");
        assert!(prose.contains(about), "the example does not say {about:?}");
    }
    assert_eq!(missing, BTreeSet::new(), "not in the example");
}

#[test]
fn the_example_as_shipped_changes_nothing() {
    let effective = explain_text(EXAMPLE, &[]).unwrap();
    assert!(effective.entries().all(|(_, _, origin)| origin == Origin::Default));
}

#[test]
fn variables_and_keys_are_one_to_one() {
    let variables: BTreeSet<String> = KEYS.iter().map(Key::variable).collect();
    assert_eq!(variables.len(), KEYS.len());
    assert!(environment::NOT_SETTINGS.iter().all(|name| !variables.contains(*name)));
}
