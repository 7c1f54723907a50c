//! Files beside the file: `extends`, `include`, env files.

use super::read_among;
use crate::domain::stack::container::Container;
use crate::domain::stack::mount::MountSource;

fn web(text: &str, others: &[(&str, &str)]) -> Container {
    let reading = read_among(text, others, &[]).unwrap_or_else(|refusal| panic!("{:#?}", refusal.problems));
    reading.stack.containers.get("web").unwrap().clone()
}

fn refused(text: &str, others: &[(&str, &str)]) -> String {
    let refusal = read_among(text, others, &[]).unwrap_err();
    refusal.problems.iter().map(|notice| notice.to_string() + "\n").collect()
}

fn binds(container: &Container) -> Vec<String> {
    let path = |source: &MountSource| match source {
        MountSource::Bind { path, .. } => Some(path.display().to_string()),
        MountSource::Volume { .. }
        | MountSource::Anonymous
        | MountSource::Tmpfs { .. }
        | MountSource::Image { .. } => None,
    };
    container.mounts.iter().filter_map(|mount| path(&mount.source)).collect()
}

#[test]
fn extends_in_the_same_file() {
    let web = web(
        "services:\n  base:\n    image: x\n    command: [one, two]\n    environment: {A: a, B: b}\n    ports: ['1:1']\n    \
         volumes: ['./a:/a', './b:/b']\n    labels: [x=1]\n    healthcheck: {test: t, interval: 5s}\n    dns: 1.1.1.1\n  \
         web:\n    extends: base\n    command: three\n    environment: [B=c, D=d]\n    ports: ['2:2']\n    \
         volumes: ['./c:/a']\n    labels: {y: 2}\n    healthcheck: {interval: 9s}\n    dns: [8.8.8.8]\n",
        &[],
    );
    assert_eq!(web.command.unwrap(), ["three"]);
    assert_eq!(web.environment.into_values().collect::<Vec<_>>(), ["a", "c", "d"]);
    assert_eq!(web.ports.len(), 2);
    assert_eq!(web.labels.into_iter().map(|(k, v)| k + &v).collect::<Vec<_>>(), ["x1", "y2"]);
    assert_eq!(web.dns, ["1.1.1.1", "8.8.8.8"]);
    assert_eq!(web.mounts.iter().map(|mount| mount.target.as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
}

#[test]
fn extends_of_another_file() {
    let others = [
        (
            "sub/base.yaml",
            "services: {base: {extends: {file: ../root.yaml, service: root}, volumes: ['./v:/v'], env_file: e}}",
        ),
        ("root.yaml", "services: {root: {image: r, volumes: ['./rv:/rv']}}"),
        ("sub/e", "E=1"),
    ];
    let web =
        web("services: {web: {extends: {file: sub/base.yaml, service: base}, volumes: ['./w:/w']}}", &others);
    assert_eq!(binds(&web), ["/srv/blog/rv", "/srv/blog/sub/v", "/srv/blog/w"]);
    assert_eq!(web.environment["E"], "1");
}

#[test]
fn extends_that_cannot_be() {
    for (text, expect) in [
        ("{web: {extends: web}}", "in a circle: web -> web"),
        ("{web: {extends: a}, a: {extends: web}}", "in a circle"),
        ("{web: {extends: nope}}", "no service \"nope\""),
        ("{web: {extends: {file: nope.yaml, service: a}}}", "nope.yaml cannot be read"),
        ("{web: {extends: {file: x.yaml}}}", "must name a service"),
        ("{web: {image: x, extends: {service: a, foo: b}}, a: {image: x}}", "knows no key \"foo\""),
    ] {
        let said = refused(&format!("services: {text}"), &[]);
        assert!(said.contains(expect), "{text}\ngave\n{said}");
    }
}

#[test]
fn resets_and_overrides() {
    let web = web(
        "services:\n  base: {image: x, command: c, ports: ['1:1'], environment: {A: 1, B: 2}, labels: {l: m}}\n  \
         web:\n    extends: base\n    command: !reset\n    ports: !override ['2:2']\n    environment: {A: !reset null}\n    \
         labels: !reset {}\n",
        &[],
    );
    assert_eq!(web.command, None);
    assert_eq!(web.ports.len(), 1);
    assert_eq!(web.environment.into_keys().collect::<Vec<_>>(), ["B"]);
    assert!(web.labels.is_empty() && web.passed_through.is_empty());
}

#[test]
fn documents_of_one_file() {
    let web = web(
        "services: {web: {image: x, ports: ['1:1']}}\n---\nservices: {web: {command: y, ports: ['2:2']}}\n---\n",
        &[],
    );
    assert_eq!((web.ports.len(), web.command.unwrap()), (2, vec!["y".to_owned()]));
}

#[test]
fn includes() {
    let others = [
        (
            "sub/a.yaml",
            "services: {web: {image: 'x:${TAG}', volumes: ['./v:/v'], networks: [n]}}\nnetworks: {n: }",
        ),
        ("sub/.env", "TAG=sub"),
        ("sub/over.yaml", "services: {web: {command: 'o ${A}'}}"),
        ("a.env", "A=a\nTAG=t"),
    ];
    let short = web("include: [sub/a.yaml]\nservices: {b: {image: x, depends_on: [web]}}", &others);
    assert_eq!(binds(&short), ["/srv/blog/sub/v"]);
    assert!(format!("{:?}", short.image).contains("x:sub"));
    let long = "include: [{path: [sub/a.yaml, sub/over.yaml], project_directory: other, env_file: a.env}]\nservices: {}";
    let long = web(long, &others);
    assert_eq!(binds(&long), ["/srv/blog/other/v"]);
    assert_eq!(long.command.unwrap(), ["o", "a"]);
    for (text, expect) in [
        ("include: [compose.yaml]\nservices: {}", "in a circle"),
        ("include: [sub/a.yaml]\nservices: {web: {image: y}}", "says something else"),
        ("include: ['oci://x']\nservices: {}", "not on this host"),
        ("include: [{env_file: x}]\nservices: {}", "must say which file"),
        ("include: [no.yaml]\nservices: {}", "cannot be read"),
    ] {
        let said = refused(text, &[("compose.yaml", text), others[0]]);
        assert!(said.contains(expect), "{text}\ngave\n{said}");
    }
}

#[test]
fn env_files() {
    let others =
        [("a.env", "A=a\nB=b\nC=${OWN}${A}\n"), ("b.env", "B=c\nD=$B\nQ='$x'\n"), ("raw", "R='x' # y\n")];
    let text = "services: {web: {image: x, environment: {A: own, OWN: o, GONE: }, env_file: [a.env, {path: b.env}, \
                {path: raw, format: raw}, {path: not-there, required: false}]}}";
    let web = web(text, &others);
    let expect =
        [("A", "own"), ("B", "c"), ("C", "oown"), ("D", "c"), ("OWN", "o"), ("Q", "$x"), ("R", "'x' # y")];
    assert_eq!(web.environment.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expect);
    assert_eq!(web.passed_through, ["GONE"]);
    assert!(web.env_files.is_empty());
}

#[test]
fn env_files_that_are_not_there() {
    let reading = read_among("services:\n  web:\n    image: x\n    env_file: later.env\n", &[], &[]).unwrap();
    assert_eq!(reading.stack.containers["web"].env_files, [std::path::Path::new("/srv/blog/later.env")]);
    let said = reading.warnings[0].to_string();
    assert!(said.starts_with("/srv/blog/compose.yaml:4: services.web.env_file: there is no file"), "{said}");
    let said = refused("services: {web: {image: x, env_file: a.env}}", &[("a.env", "A=1\nB C=2\n")]);
    assert!(said.starts_with("/srv/blog/a.env:2: the name \"B C\" has a blank"), "{said}");
}

#[test]
fn label_files() {
    let text = "services: {web: {image: x, label_file: l, labels: {b: own}}}";
    let web = web(text, &[("l", "a=1\nb=2\n")]);
    assert_eq!(web.labels.into_iter().map(|(k, v)| k + &v).collect::<Vec<_>>(), ["a1", "bown"]);
}
