//! Whole files, read: helpers, and what is about a file as a whole. The parts of a service have files of their own.

mod files;
mod limits;
mod service;
mod storage;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{Reading, Refusal, Request, read};
use crate::domain::stack::Stack;
use crate::domain::stack::container::Container;

/// Reads a file in the folder `/srv/blog`, with others beside it and an environment.
fn read_among(text: &str, others: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Reading, Refusal> {
    let owned = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let others = owned(others);
    let files = move |path: &Path| -> io::Result<String> {
        let path = path.strip_prefix("/srv/blog").unwrap_or(path).display().to_string();
        others.get(&path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    let request = Request {
        file: "/srv/blog/compose.yaml".into(),
        text: text.to_owned(),
        environment: owned(environment),
        ..Request::default()
    };
    read(&request, &files)
}

fn reading(text: &str) -> Reading {
    let environment = [("HOME", "/home/me"), ("SET", "set"), ("EMPTY", "")];
    read_among(text, &[], &environment).unwrap_or_else(|refusal| panic!("{text}\n{:#?}", refusal.problems))
}

fn stack(text: &str) -> Stack {
    reading(text).stack
}

/// A service `web` of the image nginx with further lines; the volume `data` and the network `back` are declared.
fn file_of(lines: &str) -> String {
    let lines = lines.lines().fold(String::new(), |all, line| all + "    " + line + "\n");
    format!(
        "services:\n  web:\n    image: nginx\n{lines}  db:\n    image: postgres\nvolumes:\n  data:\nnetworks:\n  back:\n"
    )
}

fn web(lines: &str) -> Container {
    stack(&file_of(lines)).containers.remove("web").unwrap()
}

/// Everything for which a file is refused, a line each.
fn refused(text: &str) -> String {
    match read_among(text, &[], &[("SET", "set")]) {
        Ok(reading) => panic!("{text}\nwas taken: {:#?}", reading.stack),
        Err(refusal) => refusal.problems.iter().map(|notice| notice.to_string() + "\n").collect(),
    }
}

/// What is said of a service that is taken.
fn warned(lines: &str) -> String {
    reading(&file_of(lines)).warnings.iter().map(|notice| notice.to_string() + "\n").collect()
}

#[track_caller]
fn check_refused(lines: &str, expect: &str) {
    let said = refused(&file_of(lines));
    assert!(said.contains(expect), "{lines}\ngave\n{said}");
}

#[track_caller]
fn check_warned(lines: &str, expect: &str) {
    let said = warned(lines);
    assert!(said.contains(expect), "{lines}\ngave\n{said}");
}

#[test]
fn a_file() {
    let stack = stack("name: Shop\nservices:\n  web: {image: nginx}\n  db: {image: a/b:1}\n");
    assert_eq!(stack.name, "shop");
    assert_eq!(stack.containers.keys().collect::<Vec<_>>(), ["db", "web"]);
    assert_eq!(stack.networks["default"].name, "shop_default");
    assert_eq!(stack.containers["web"].networks[0].network, "default");
    assert_eq!(stack.containers["web"].replicas, 1);
}

#[test]
fn names_of_the_project() {
    let name = |text: &str, environment: &[(&str, &str)]| {
        read_among(text, &[], environment).map(|reading| reading.stack.name)
    };
    let plain = "services: {a: {image: x, hostname: $COMPOSE_PROJECT_NAME}}";
    assert_eq!(name(plain, &[]).unwrap(), "blog");
    assert_eq!(name(plain, &[("COMPOSE_PROJECT_NAME", "other")]).unwrap(), "other");
    assert_eq!(name("name: ${N}-1\nservices: {a: {image: x}}", &[("N", "Own")]).unwrap(), "own-1");
    assert!(name(plain, &[("COMPOSE_PROJECT_NAME", "Not So")]).is_err());
    assert_eq!(stack(plain).containers["a"].hostname.as_deref(), Some("blog"));
}

#[test]
fn places() {
    let reading = reading("services:\n  web:\n    image: nginx\n    logging:\n      driver: x\n");
    let at = |path: &[&str]| reading.place(path).unwrap().to_string();
    assert_eq!(at(&["services", "web", "logging"]), "/srv/blog/compose.yaml:4");
    assert_eq!(at(&["services", "web", "nothing"]), "/srv/blog/compose.yaml:2");
    assert_eq!(at(&["nothing"]), "/srv/blog/compose.yaml");
    let said = refused("services:\n  web:\n    image: nginx\n    prots: []\n    tty: maybe\n");
    let expect = "/srv/blog/compose.yaml:4: services.web.prots: docker compose knows no key \"prots\" here: is ports meant?\n\
                  /srv/blog/compose.yaml:5: services.web.tty: \"maybe\" is no truth value: write true or false\n";
    assert_eq!(said, expect);
}

#[test]
fn no_compose_file() {
    for (text, expect) in [
        ("", "no services"),
        ("version: '3'", "no services"),
        ("web:\n  image: nginx", "knows no key \"web\""),
        ("- a", "this is none"),
        ("services: [a]", "must be a mapping"),
        ("services: {web: nginx}", "a service is a mapping"),
        ("services: {a b: {image: x}}", "cannot name a service"),
        ("services:\n\tweb:\n\t\timage: x", "not with tabs"),
        ("services: {web: {image: x}", "this is no YAML"),
        ("services: {web: {image: x, image: y}}", "stands in line 1 already"),
        ("services: {web: {command: x}}", "neither image nor build"),
        ("services: {web: {image: \"${NOT_SET}\"}}", "neither image nor build"),
        ("services: {web: {image: x, <<: 5}}", "<< takes a mapping"),
        ("services: {web: {image: x}}\nvolums: {}", "is volumes meant"),
    ] {
        let said = refused(text);
        assert!(said.contains(expect), "{text}\ngave\n{said}");
    }
}

#[test]
fn yaml() {
    let stack = stack(
        "\u{feff}x-env: &env {A: 1, B: two}\n\
         x-base: &base\n  restart: always\n  environment: {<<: *env, C: 3}\n\
         services:\n  a: {<<: *base, image: &image x}\n  b:\n    <<: [*base, {restart: 'no', user: u}]\n    image: *image\n    \
         environment: {<<: *env, B: three}\n",
    );
    let a = &stack.containers["a"].environment;
    assert_eq!((a["A"].as_str(), a["B"].as_str(), a["C"].as_str()), ("1", "two", "3"));
    let b = &stack.containers["b"];
    assert_eq!((b.environment["B"].as_str(), b.environment.len()), ("three", 2));
    assert_eq!(b.user.as_deref(), Some("u"));
    assert_eq!(b.restart, crate::domain::stack::start::Restart::Always);
}

#[test]
fn profiles() {
    let text = "services:\n  a: {image: x, depends_on: {b: {condition: service_started, required: false}}}\n  \
                b: {image: x, profiles: [p]}\n";
    let stack = stack(text);
    assert_eq!(stack.containers.keys().collect::<Vec<_>>(), ["a"]);
    assert!(stack.containers["a"].depends_on.is_empty());
    for asked in ["p", "q,p", "*"] {
        let reading = read_among(text, &[], &[("COMPOSE_PROFILES", asked)]).unwrap();
        assert_eq!(reading.stack.containers.len(), 2, "{asked}");
    }
    let needed = refused("services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, profiles: [p]}\n");
    assert!(needed.contains("of a profile that was not asked for"), "{needed}");
}

#[test]
fn dependencies_that_cannot_be() {
    for (text, expect) in [
        ("{a: {image: x, depends_on: [b]}}", "there is no service \"b\""),
        ("{a: {image: x, links: [b]}}", "there is no service \"b\""),
        ("{a: {image: x, network_mode: 'service:b'}}", "there is no service \"b\""),
        ("{a: {image: x, volumes_from: [b]}}", "there is no service \"b\""),
        ("{a: {image: x, depends_on: [a]}}", "in a circle: a -> a"),
        (
            "{a: {image: x, depends_on: [b]}, b: {image: x, links: [c]}, c: {image: x, depends_on: [a]}}",
            "a -> b -> c -> a",
        ),
        ("{a: {image: x, container_name: n}, b: {image: x, container_name: n}}", "is called n too"),
        ("{a: {image: x, container_name: n, scale: 2}}", "cannot all be called n"),
        ("{a: {image: x, scale: 2, deploy: {replicas: 3}}}", "write one of them"),
        ("{a: {image: x, network_mode: host, networks: [default]}}", "cannot both be said"),
    ] {
        let said = refused(&format!("services: {text}"));
        assert!(said.contains(expect), "{text}\ngave\n{said}");
    }
}

#[test]
fn variables() {
    let dotenv = [(".env", "A=file\nB=${A}2\nSHELL_WINS=no\n")];
    let text = "services: {a: {image: \"x:${A}\", environment: {B: $B, S: $SHELL_WINS, N: \"${NOPE-}\", D: $$B, P: }}}";
    let reading = read_among(text, &dotenv, &[("SHELL_WINS", "yes"), ("P", "mine")]).unwrap();
    let a = &reading.stack.containers["a"];
    assert_eq!(
        a.image,
        crate::domain::stack::container::ImageSource::Reference("docker.io/library/x:file".to_owned())
    );
    let expect = [("B", "file2"), ("D", "$B"), ("N", ""), ("P", "mine"), ("S", "yes")];
    assert_eq!(a.environment.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expect);
    assert!(reading.warnings.is_empty(), "{:?}", reading.warnings);
    let said = refused("services:\n  a:\n    image: x\n    command: ${NOPE:?set it}\n    hostname: ${a b}\n");
    assert!(said.contains(":4: services.a.command: the variable NOPE must have a value: set it"), "{said}");
    assert!(said.contains(":5: services.a.hostname: ${a b} is none of the forms"), "{said}");
    check_warned("command: $NOPE", "the variable NOPE is not set");
}
