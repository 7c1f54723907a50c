//! Compose files in the ways people write them, and what becomes of each, byte for byte.
//!
//! Each directory in `tests/compose/` holds `compose.yaml` with what it refers to, and either `expected/`, the units
//! and files that it becomes, with `warnings.txt` where there are any, or `refusal.txt`, why it is not taken.
//! `RIVETR_GOLDEN=write cargo nextest run --test compose` writes them anew; read the difference before committing.
//! That Podman's own generator takes them, and what then runs, is seen on the host (`tests/it/compose.rs`).

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

#[path = "support/golden.rs"]
mod golden;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use golden::directories;
use rivetr::compose::{Reading, Refusal, Request, read};
use rivetr::quadlet::features::PodmanFeatures;
use rivetr::quadlet::stack::{Naming, Note, Refused, Written, units};
use rivetr::quadlet::unit::Unit;

/// Where the directories are.
const ROOT: &str = "tests/compose";
/// Where the directories are said to lie: on this machine, each test would see another place.
const PLACE: &str = "/srv";

/// What is asked for with all its profiles.
const WITH_PROFILES: [&str; 6] = [
    "023-workflows",
    "029-postgres",
    "034-node",
    "060-profiles",
    "104-photo-prism",
    "130-extends-across-folders",
];

/// What comes out of a directory: a file's text by its path in it.
type Outcome = BTreeMap<PathBuf, String>;

#[test]
fn every_directory_is_as_it_was() {
    let (mut taken, mut refused) = (0, 0);
    for case in directories(Path::new(ROOT)) {
        let actual = outcome(&case, WITH_PROFILES.contains(&name(&case)));
        golden::check(&case, &actual, &expected(&case));
        if actual.contains_key(Path::new("refusal.txt")) { refused += 1 } else { taken += 1 }
    }
    assert!(taken >= 120 && refused >= 40, "only {taken} taken and {refused} refused");
}

#[test]
fn a_refusal_says_where_and_why() {
    // Each with a line that it points at, and words that it says.
    for (case, line, words) in REFUSED {
        let case = Path::new(ROOT).join(case);
        let said = outcome(&case, false).remove(Path::new("refusal.txt"));
        let said = said.unwrap_or_else(|| format!("{} was taken", case.display()));
        let place = format!(".yaml:{line}: ");
        let found = said.lines().any(|said| said.contains(&place) && said.contains(words));
        assert!(found, "{}: no line {line} with {words:?} in\n{said}", case.display());
    }
    let listed: Vec<&str> = REFUSED.iter().map(|(case, ..)| *case).collect();
    for case in directories(Path::new(ROOT)) {
        let refused = case.join("refusal.txt").exists();
        assert_eq!(refused, listed.contains(&name(&case)), "{} in the list of refusals", case.display());
    }
}

#[test]
fn reading_twice_gives_the_same_bytes() {
    for case in directories(Path::new(ROOT)) {
        assert_eq!(outcome(&case, true), outcome(&case, true), "{}", case.display());
    }
}

#[test]
fn a_service_of_a_profile_is_there_when_it_is_asked_for() {
    let case = &Path::new(ROOT).join("060-profiles");
    let containers = |all| {
        let mut names: Vec<String> =
            outcome(case, all).into_keys().map(|path| name(&path).to_owned()).collect();
        names.retain(|name| name.ends_with(".container"));
        names
    };
    assert_eq!(containers(false), ["profiles-web.container"]);
    assert_eq!(
        containers(true),
        ["profiles-debug.container", "profiles-tools.container", "profiles-web.container"]
    );
}

#[test]
fn every_trap_has_a_case() {
    for (line, needed) in TRAPS {
        assert!(!needed.is_empty(), "nothing shows FACTS 13.{line}");
        for case in *needed {
            let path = Path::new(ROOT).join(case).join("compose.yaml");
            assert!(path.exists(), "FACTS 13.{line} is shown by {case}, which is not there");
        }
    }
    let lines: Vec<u32> = TRAPS.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, (1..=22).collect::<Vec<_>>());
}

/// The lines of FACTS 13, and the directories that show them.
const TRAPS: &[(u32, &[&str])] = &[
    // A line break in a value.
    (1, &["126-a-long-line", "127-nasty-values", "253-line-breaks-in-names"]),
    // One folder for a project: the whole directory is one.
    (2, &["001-nextcloud", "024-backend-as-a-service"]),
    // Dollars and percent signs.
    (3, &["028-mysql", "061-interpolation", "082-commands-of-each-form", "127-nasty-values"]),
    // A check that ends in a quote.
    (4, &["055-healthchecks-of-each-form"]),
    // The forms of a check.
    (5, &["003-documents", "013-mastodon", "055-healthchecks-of-each-form"]),
    // An entry point of several words.
    (6, &["022-kafka", "024-backend-as-a-service", "082-commands-of-each-form", "107-blockchain"]),
    // An empty argument, a lone semicolon.
    (7, &["010-wordpress", "030-redis", "082-commands-of-each-form"]),
    // Blanks in variables and paths.
    (8, &["001-nextcloud", "066-volumes-of-each-form", "039-plex"]),
    // Limits that 5.4 has no key for.
    (9, &["021-search-cluster", "038-unifi", "075-ulimits-and-limits"]),
    // The default network, aliases, a container's own name.
    (10, &["005-git-forge", "043-static-addresses", "069-default-network-renamed"]),
    // The conditions of a dependency.
    (11, &["015-media-behind-a-vpn", "023-workflows", "056-dependencies-of-each-form"]),
    // Which variable wins, and scalars as they stand.
    (12, &["046-scalars-of-all-kinds", "047-booleans-in-lists", "063-env-order", "094-analytics"]),
    // Folders of the host.
    (13, &["014-jellyfin", "037-portainer-and-watchtower", "066-volumes-of-each-form"]),
    // Names of volumes and networks.
    (14, &["045-external-networks", "066-volumes-of-each-form", "067-volume-drivers"]),
    // Ports.
    (15, &["018-adguard", "054-ports-of-each-form", "125-a-port-taken-once-per-protocol"]),
    // Names of services.
    (16, &["070-names", "114-video-conference", "255-two-containers-of-one-name"]),
    // When it is started again.
    (17, &["035-selenium-grid", "057-restarts-of-each-form", "081-stopping"]),
    // Secrets and configs.
    (18, &["064-secrets-of-each-origin", "065-configs-of-each-origin", "029-postgres"]),
    // Everything else that a container can be told.
    (
        19,
        &[
            "071-replicas",
            "072-namespaces",
            "073-links-and-volumes-from",
            "074-tmpfs",
            "075-ulimits-and-limits",
            "076-logging",
            "077-hosts-and-dns",
            "078-capabilities-and-security",
            "079-devices",
            "080-sysctls",
            "084-images",
            "085-hooks",
        ],
    ),
    // Profiles, extends, include, anchors, x-.
    (
        20,
        &[
            "050-anchors",
            "058-extends",
            "059-includes",
            "060-profiles",
            "088-extension-fields",
            "123-override-and-reset",
            "217-alias-bomb",
        ],
    ),
    // Interpolation.
    (21, &["061-interpolation", "119-deep-defaults", "214-required-variable", "216-bad-interpolation"]),
    // References of images, circles, keys that nobody knows, volumes that nobody declared.
    (22, &["084-images", "201-cycle", "204-unknown-key", "206-undeclared-volume", "016-home-assistant"]),
];

/// A directory that is refused, a line that is pointed at, and words of the reason.
const REFUSED: &[(&str, usize, &str)] = &[
    ("201-cycle", 2, "a -> b -> c -> a"),
    ("202-depends-on-itself", 2, "services wait for each other in a circle: a -> a"),
    ("203-unknown-section", 3, "service: docker compose knows no key \"service\" here"),
    ("204-unknown-key", 4, "docker compose knows no key \"enviroment\" here"),
    ("205-unknown-key-within", 6, "docker compose knows no key \"intervall\" here"),
    ("206-undeclared-volume", 5, "no volume \"</path/to/config>\" is declared"),
    ("207-undeclared-network", 4, "no network \"front\" is declared"),
    ("208-undeclared-secret", 4, "no secret \"token\" is declared"),
    ("209-undeclared-config", 4, "no config \"conf\" is declared"),
    ("210-unknown-dependency", 5, "there is no service \"databse\""),
    ("211-bad-port", 5, "\"http:80\" says no port of the host between 1 and 65535"),
    ("212-port-out-of-range", 4, "\"70000:80\" says no port of the host between 1 and 65535"),
    ("213-port-ranges-differ", 5, "\"8000-8005:80-81\" has ranges of different lengths"),
    ("214-required-variable", 5, "the variable SECRET must have a value: set SECRET in .env"),
    ("215-required-variable-empty", 3, "the variable TAG must have a value: no tag"),
    ("216-bad-interpolation", 3, "the ${ in \"nginx:${TAG\" is never closed"),
    ("217-alias-bomb", 6, "with its aliases the file unfolds to more than 32 MiB"),
    ("218-duplicate-key", 5, "the key \"image\" stands in line 3 already: name it once"),
    ("219-merged-twice", 6, "stands here twice"),
    ("220-windows-path", 5, "\"C:\\\\Users\\\\me\\\\data\" is a path of Windows"),
    ("221-no-services", 1, "this file has no services: a compose file has them under the key"),
    ("222-neither-image-nor-build", 3, "this service has neither image nor build: say what it runs"),
    ("223-services-as-a-list", 2, "this must be a mapping"),
    ("224-broken-yaml", 4, "this is no YAML: while parsing a block mapping, did not find expected"),
    ("225-tab-as-indentation", 2, "this is no YAML: tabs disallowed within this context (block"),
    ("226-unknown-alias", 4, "this is no YAML: while parsing node, found unknown anchor"),
    ("227-an-anchor-within-itself", 4, "this alias stands inside of what it stands for"),
    ("228-extends-a-service-that-is-not-there", 2, "there is no service \"base\" in"),
    ("229-extends-a-file-that-is-not-there", 3, "/srv/nowhere/base.yaml cannot be read"),
    ("230-extends-in-a-circle", 2, "extend each other in a circle"),
    ("231-include-of-a-file-that-is-not-there", 1, "other.yaml cannot be read"),
    ("232-include-in-a-circle", 1, "includes itself"),
    ("234-bad-duration", 4, "\"soon\" is no time"),
    ("235-bad-size", 4, "\"lots\" is no size"),
    ("236-bad-boolean", 4, "\"perhaps\" is no truth value"),
    ("237-unclosed-quote", 4, "a quote, or a backslash at the end, is left open: close it, or write"),
    ("238-bad-restart", 4, "\"sometimes\" is none of no, always, unless-stopped, on-failure and"),
    ("239-networks-beside-network-mode", 5, "network_mode and networks cannot both be said"),
    ("240-a-fixed-name-for-several", 3, "2 containers cannot all be called web"),
    ("241-network-of-an-unknown-service", 2, "there is no service \"vpn\""),
    ("242-bad-condition", 2, "\"service_ready\" is none of service_started, service_healthy and"),
    ("243-relative-target", 4, "\"data\" is no absolute path in the container"),
    ("244-health-without-a-form", 4, "the list must begin with CMD, CMD-SHELL or NONE"),
    (
        "245-dependency-of-another-profile",
        2,
        "the service \"debug\" is needed, and is of a profile that was not",
    ),
    ("246-secret-without-an-origin", 4, "must say where its bytes are"),
    ("247-bad-service-name", 2, "\"web app\" cannot name a service"),
    (
        "248-health-of-a-service-without-a-check",
        3,
        "others wait for its health, but its check is off: they would wait for",
    ),
    ("249-namespaces-in-a-circle", 2, "services wait for each other in a circle: a -> b -> a"),
    ("250-two-memory-limits", 5, "memory is said in the service too, and differently"),
    ("251-included-twice-differently", 3, "/srv/included-twice-differently/other.yaml is included and says"),
    ("252-no-reference-of-an-image", 2, "\"docker.io/library/with blank:1\" is no reference of an image"),
    ("253-line-breaks-in-names", 2, "\"a\\n[Service]\\nExecStartPre=/bin/x\" is no name for a container"),
    ("254-a-variable-without-a-name", 4, "\"\" cannot be the name of a variable"),
    ("255-two-containers-of-one-name", 3, "the container of the service \"a\" is called same too"),
    ("256-bad-address", 4, "\"999.1.1.1:80:80\" begins with no address of this host"),
    ("257-a-provider", 3, "a service that docker compose hands to another program cannot be run"),
    ("258-external-with-a-driver", 4, "what is external has these settings already"),
    ("259-not-utf-8", 4, "the file /srv/not-utf-8/latin1.env cannot be read: invalid utf-8"),
    ("260-an-empty-file", 1, "this file has no services: a compose file has them under the key"),
    ("261-a-list", 1, "a compose file is a mapping with the key services: this is none"),
    ("262-nested-too-deep", 4, "this is no YAML: recursion limit exceeded"),
];

/// What a directory becomes.
fn outcome(case: &Path, all_profiles: bool) -> Outcome {
    // The number in front is for sorting alone.
    let said = Path::new(PLACE).join(&name(case)[4..]);
    let real = |path: &Path| match path.strip_prefix(&said) {
        Ok(below) => case.join(below),
        Err(_) => PathBuf::from("nowhere"),
    };
    let files = |path: &Path| -> io::Result<String> {
        String::from_utf8(fs::read(real(path))?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    };
    let request = Request {
        file: said.join("compose.yaml"),
        text: files(&said.join("compose.yaml")).unwrap(),
        profiles: if all_profiles { vec!["*".to_owned()] } else { Vec::new() },
        environment: BTreeMap::from([("HOME".to_owned(), "/home/ada".to_owned())]),
        ..Request::default()
    };
    match read(&request, &files) {
        Ok(reading) => written(&reading),
        Err(Refusal { problems, .. }) => refusal(&problems),
    }
}

/// What is written of a stack.
fn written(reading: &Reading) -> Outcome {
    let naming = Naming::plain(&reading.stack, "compose.yaml");
    let placed = |note: &Note| {
        let place = reading.place(&note.key.split('.').collect::<Vec<_>>()).unwrap();
        format!("{place}: {}: {}", note.key, note.message)
    };
    match units(&reading.stack, &naming, PodmanFeatures::of("5.4.2").unwrap()) {
        Ok(Written { files, notes }) => {
            let mut outcome = Outcome::new();
            for (path, file) in files {
                if !path.contains('/') {
                    let same = Unit::parse(&file.text).map(|unit| unit.to_string());
                    assert_eq!(same.as_ref(), Ok(&file.text), "{path}");
                }
                outcome.insert(Path::new("expected").join(path), file.text);
            }
            let mut warnings: Vec<String> = reading.warnings.iter().map(ToString::to_string).collect();
            warnings.extend(notes.iter().map(placed));
            if !warnings.is_empty() {
                outcome.insert(PathBuf::from("warnings.txt"), lines(&warnings));
            }
            outcome
        }
        Err(Refused { problems, .. }) => refusal(&problems.iter().map(placed).collect::<Vec<_>>()),
    }
}

fn refusal(problems: &[impl Display]) -> Outcome {
    Outcome::from([(PathBuf::from("refusal.txt"), lines(problems))])
}

fn lines(notes: &[impl Display]) -> String {
    notes.iter().map(ToString::to_string).fold(String::new(), |all, line| all + &line + "\n")
}

/// What stands in a directory besides what was written by hand.
fn expected(case: &Path) -> Outcome {
    let mut files = Outcome::new();
    let mut open = vec![case.join("expected"), case.join("warnings.txt"), case.join("refusal.txt")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.exists() {
            files.insert(path.strip_prefix(case).unwrap().to_owned(), fs::read_to_string(&path).unwrap());
        }
    }
    files
}

fn name(case: &Path) -> &str {
    case.file_name().unwrap().to_str().unwrap()
}
