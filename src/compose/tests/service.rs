//! The keys of a service, in the forms in which people write them.

use std::time::Duration;

use super::{check_refused, check_warned, stack, warned, web};
use crate::domain::stack::container::{ImageSource, Namespace, Peer, Pull};
use crate::domain::stack::health::{Health, HealthCheck, Test};
use crate::domain::stack::network::NetworkMode;
use crate::domain::stack::resources::{Device, Ulimit};
use crate::domain::stack::start::{Condition, Dependency, Restart};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn commands() {
    for (lines, expect) in [
        ("command: a 'b c' \"d\"", Some(words(&["a", "b c", "d"]))),
        ("command: [a, 'b c', '']", Some(words(&["a", "b c", ""]))),
        ("command: [a, 5, true]", Some(words(&["a", "5", "true"]))),
        ("command: >\n  a\n  --b\n", Some(words(&["a", "--b"]))),
        ("command: ''", Some(words(&[]))),
        ("command: []", Some(words(&[]))),
        ("command:", None),
        ("command: echo $$HOME ${SET}", Some(words(&["echo", "$HOME", "set"]))),
        ("command: [\"x\\ny\"]", Some(words(&["x\ny"]))),
    ] {
        assert_eq!(web(lines).command, expect, "{lines}");
        assert_eq!(web(&lines.replace("command", "entrypoint")).entrypoint, expect, "{lines}");
    }
    check_warned("command: a && b", "ends it at the first");
    check_refused("command: \"a 'b\"", "left open");
    check_refused("command: {a: b}", "must be a list");
}

#[test]
fn variables() {
    for (lines, expect) in [
        ("environment: [A=1, B=, C=x=y, 'D= s ', A=2]", "A=2|B=|C=x=y|D= s "),
        (
            "environment: {A: yes, B: off, C: true, D: 5432.0, E: 0x10, F: 012, G: 1e3, H: 1:30}",
            "A=yes|B=off|C=true|D=5432|E=16|F=10|G=1000|H=1:30",
        ),
        ("environment: {A: '012', B: \"1.0\", C: 'null', D: ''}", "A=012|B=1.0|C=null|D="),
        (
            "environment: {A: 2024-01-02, B: '2024-01-02', C: 2024-01-02T03:04:05Z}",
            "A=2024-01-02 00:00:00 +0000 UTC|B=2024-01-02|C=2024-01-02 03:04:05 +0000 UTC",
        ),
        ("environment: [A=2024-01-02]", "A=2024-01-02"),
        ("environment: [SET, EMPTY, NOT]", "EMPTY=|SET=set|!NOT"),
        ("environment: {SET: , NOT: null}", "SET=set|!NOT"),
        ("environment:", ""),
    ] {
        let web = web(lines);
        let pairs = web.environment.iter().map(|(key, value)| format!("{key}={value}"));
        let all: Vec<_> = pairs.chain(web.passed_through.iter().map(|key| format!("!{key}"))).collect();
        assert_eq!(all.join("|"), expect, "{lines}");
    }
    check_refused("environment: ['=x']", "cannot be the name");
    check_refused("environment: 5", "must be a mapping");
}

#[test]
fn labels() {
    for lines in ["labels: {a: 1, b: , c: true}", "labels: [a=1, b, c=true]"] {
        let labels: Vec<_> =
            web(lines).labels.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(labels, ["a=1", "b=", "c=true"], "{lines}");
    }
    assert_eq!(web("annotations: [a=b]").annotations["a"], "b");
}

#[test]
fn images() {
    let image = |text: &str| stack(&format!("services: {{a: {{{text}}}}}")).containers["a"].image.clone();
    let reference = |text: &str| ImageSource::Reference(text.to_owned());
    assert_eq!(image("image: nginx"), reference("docker.io/library/nginx"));
    assert_eq!(image("image: \"a/b:${SET}\""), reference("docker.io/a/b:set"));
    let ImageSource::Build { build, reference } = image("build: ./app") else { panic!() };
    assert_eq!((build.context.as_str(), reference), ("/srv/blog/app", None));
    let ImageSource::Build { build, reference } = image(
        "image: own, build: {context: app, dockerfile: ../D, args: [A=1, SET, NOT], target: t, additional_contexts: {x: ./y, z: 'docker-image://q'}}",
    ) else {
        panic!()
    };
    assert_eq!(reference.as_deref(), Some("docker.io/library/own"));
    assert_eq!(build.dockerfile.as_deref(), Some("/srv/blog/D"));
    assert_eq!(build.args.len(), 2);
    assert_eq!(build.additional_contexts["x"], "/srv/blog/y");
    assert_eq!(build.additional_contexts["z"], "docker-image://q");
    let ImageSource::Build { build, .. } = image("build: 'https://github.com/a/b.git#main:dir'") else {
        panic!()
    };
    assert_eq!(build.context, "https://github.com/a/b.git#main:dir");
    for (policy, expect) in [
        ("always", Some(Pull::Always)),
        ("if_not_present", Some(Pull::Missing)),
        ("never", Some(Pull::Never)),
        ("build", None),
        ("daily", Some(Pull::Newer)),
        ("every_12h", Some(Pull::Newer)),
    ] {
        assert_eq!(web(&format!("pull_policy: {policy}")).pull, expect, "{policy}");
    }
    check_refused("pull_policy: sometimes", "is none of");
    check_refused("build: {dockerfile: a, dockerfile_inline: b}", "cannot both");
    check_refused("build: {foo: a}", "knows no key");
}

#[test]
fn health() {
    let check = |lines: &str| web(&format!("healthcheck: {lines}")).health.unwrap();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let shell = |line: &str| Some(Test::Shell(line.to_owned()));
    assert_eq!(
        check(
            "{test: a || b, interval: 1m30s, timeout: 10s, retries: '3', start_period: 0s, start_interval: 5s}"
        ),
        Health::Check(HealthCheck {
            test: shell("a || b"),
            interval: seconds(90),
            timeout: seconds(10),
            retries: Some(3),
            start_period: None,
            start_interval: seconds(5),
        })
    );
    for (lines, test) in [
        ("{test: [CMD, a, 'b c']}", Some(Test::Words(words(&["a", "b c"])))),
        ("{test: [CMD-SHELL, 'a $$B']}", shell("a $B")),
        ("{interval: 5s}", None),
        ("{test: []}", None),
    ] {
        let Health::Check(check) = check(lines) else { panic!("{lines}") };
        assert_eq!(check.test, test, "{lines}");
    }
    for lines in ["{test: [NONE]}", "{disable: true}", "{disable: 'yes', test: x}"] {
        assert_eq!(check(lines), Health::Off, "{lines}");
    }
    check_refused("healthcheck: {test: [curl, x]}", "must begin with CMD");
    check_refused("healthcheck: {interval: often}", "is no time");
    check_warned("healthcheck: {interval: 5}", "has no unit");
}

#[test]
fn order() {
    let needs = |lines: &str| web(lines).depends_on;
    let db = |condition, required, restart| {
        vec![Dependency { service: "db".to_owned(), condition, required, restart }]
    };
    assert_eq!(needs("depends_on: [db]"), db(Condition::Started, true, false));
    assert_eq!(
        needs("depends_on: {db: {condition: service_healthy, restart: true}}"),
        db(Condition::Healthy, true, true)
    );
    let completed = "depends_on: {db: {condition: service_completed_successfully, required: false}}";
    assert_eq!(needs(completed), db(Condition::Completed, false, false));
    for lines in [
        "links: [db]",
        "links: ['db:x']",
        "network_mode: 'service:db'",
        "ipc: 'service:db'",
        "pid: 'service:db'",
    ] {
        assert_eq!(needs(lines), db(Condition::Started, true, true), "{lines}");
    }
    assert_eq!(needs("volumes_from: ['db:ro']"), db(Condition::Started, true, false));
    check_refused("depends_on: {db: {condition: ready}}", "is none of service_started");
}

#[test]
fn restarts() {
    let failure = |attempts| Restart::OnFailure { attempts, delay: None, window: None };
    for (lines, expect) in [
        ("", Restart::No),
        ("restart: no", Restart::No),
        ("restart: 'no'", Restart::No),
        ("restart: always", Restart::Always),
        ("restart: unless-stopped", Restart::UnlessStopped),
        ("restart: on-failure", failure(None)),
        ("restart: on-failure:5", failure(Some(5))),
        ("deploy: {restart_policy: {condition: any}}", Restart::Always),
        ("deploy: {restart_policy: {condition: none}}\nrestart: always", Restart::No),
        ("deploy: {restart_policy: {delay: 5s}}\nrestart: on-failure", failure(None)),
        (
            "deploy: {restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 2m}}",
            Restart::OnFailure {
                attempts: Some(3),
                delay: Some(Duration::from_secs(5)),
                window: Some(Duration::from_mins(2)),
            },
        ),
    ] {
        assert_eq!(web(lines).restart, expect, "{lines}");
    }
    check_refused("restart: sometimes", "is none of");
    let stop = web("stop_signal: SIGINT\nstop_grace_period: 1m").stop;
    assert_eq!(
        (stop.stop_signal.as_deref(), stop.stop_grace_period),
        (Some("SIGINT"), Some(Duration::from_mins(1)))
    );
}

#[test]
fn networks() {
    let names = |lines: &str| web(lines).networks.into_iter().map(|at| at.network).collect::<Vec<_>>();
    assert_eq!(names(""), ["default"]);
    assert_eq!(names("networks: []"), ["default"]);
    assert_eq!(names("networks: [default, back]"), ["back", "default"]);
    assert_eq!(names("networks: {default: {priority: 5}, back: }"), ["default", "back"]);
    assert_eq!(names("network_mode: host"), [""; 0]);
    let web_back = &web(
        "networks: {back: {aliases: [a, b, a], ipv4_address: 10.0.0.2, mac_address: '02:42:ac:11:65:43'}}",
    )
    .networks[0];
    assert_eq!(web_back.aliases, ["a", "b"]);
    assert_eq!(web_back.ipv4.as_deref(), Some("10.0.0.2"));
    for (mode, expect) in [
        ("host", NetworkMode::Host),
        ("none", NetworkMode::None),
        ("bridge", NetworkMode::Bridge),
        ("default", NetworkMode::Bridge),
        ("'container:x'", NetworkMode::Of(Peer::Container("x".to_owned()))),
        ("'service:db'", NetworkMode::Of(Peer::Service("db".to_owned()))),
        ("pasta", NetworkMode::Other("pasta".to_owned())),
    ] {
        assert_eq!(web(&format!("network_mode: {mode}")).network_mode, Some(expect), "{mode}");
    }
    check_refused("networks: [nope]", "no network \"nope\" is declared");
    check_refused("networks: {back: {ip: x}}", "knows no key");
    let linked = stack("services: {a: {image: x, links: ['b:c', 'b']}, b: {image: x}}");
    assert_eq!(linked.containers["b"].networks[0].aliases, ["c"]);
}

#[test]
fn hosts_and_names() {
    let hosts = |lines: &str| {
        let hosts = web(&format!("extra_hosts: {lines}")).extra_hosts;
        hosts.into_iter().map(|host| format!("{} {}", host.name, host.address)).collect::<Vec<_>>()
    };
    assert_eq!(
        hosts("['a:1.2.3.4', 'b=::1', 'c:[::1]', 'd:::1', 'a:1.2.3.4']"),
        ["a 1.2.3.4", "b ::1", "c ::1", "d ::1"]
    );
    assert_eq!(
        hosts("{a: 1.2.3.4, b: [1.1.1.1, 2.2.2.2], h: host-gateway}"),
        ["a 1.2.3.4", "b 1.1.1.1", "b 2.2.2.2", "h host-gateway"]
    );
    let web =
        web("dns: 8.8.8.8\ndns_search: [a.org]\ndns_opt: [use-vc]\nexpose: [80, '80', 81/udp, 3000-3005]");
    assert_eq!(
        (web.dns, web.dns_search, web.dns_options),
        (words(&["8.8.8.8"]), words(&["a.org"]), words(&["use-vc"]))
    );
    assert_eq!(web.expose, ["80", "81/udp", "3000-3005"]);
    check_refused("extra_hosts: [a]", "must be written as NAME:ADDRESS");
}

#[test]
fn ports() {
    let long = web("ports: [{target: 80, published: 8000-8005, protocol: UDP, host_ip: 127.0.0.1, mode: host}, {target: 81}]").ports;
    assert_eq!((long[0].host, long[0].container), (Some((8000, 8005)), (80, 80)));
    assert_eq!((long[1].host, long[1].host_ip), (None, None));
    assert_eq!(web("ports: [80, '80', '8080:80', '8080:80/tcp', 22:22]").ports.len(), 3);
    for (lines, expect) in [
        ("ports: '80:80'", "must be a list"),
        ("ports: ['a:80']", "no port of the host"),
        ("ports: ['80:${NOPE-}']", "says no port of the container"),
        ("ports: [{published: 80}]", "must say a port of the container"),
        ("ports: [{target: 80, mode: x}]", "neither host nor ingress"),
        ("ports: [{target: 80, foo: x}]", "knows no key"),
        ("ports: ['80-82:80-81']", "different lengths"),
    ] {
        check_refused(lines, expect);
    }
}

#[test]
fn amounts() {
    let own = web(
        "cpus: 0.50\ncpu_shares: 512\ncpuset: 0-1\ncpu_period: 100ms\ncpu_quota: 50000\nmem_limit: 1.5gb\nmem_reservation: 64K\n\
         memswap_limit: -1\nmem_swappiness: 0\npids_limit: 100\noom_score_adj: -500\noom_kill_disable: true\nshm_size: 67108864",
    );
    let resources = own.resources;
    assert_eq!(resources.cpus.as_deref(), Some("0.5"));
    assert_eq!((resources.cpu_period, resources.cpu_quota), (Some(100_000), Some(50_000)));
    assert_eq!((resources.memory, resources.memory_reservation), (Some(1_610_612_736), Some(65_536)));
    assert_eq!(
        (resources.memory_swap, resources.memory_swappiness, resources.pids),
        (Some(-1), Some(0), Some(100))
    );
    assert_eq!(
        (resources.oom_score_adj, resources.oom_kill_disable, own.shm_size),
        (Some(-500), true, Some(64 << 20))
    );
    let deployed = web(
        "deploy: {resources: {limits: {cpus: '0.50', memory: 50M, pids: 9}, reservations: {memory: 20M}}}",
    )
    .resources;
    assert_eq!(
        (deployed.cpus.as_deref(), deployed.memory, deployed.pids),
        (Some("0.50"), Some(50 << 20), Some(9))
    );
    assert_eq!(deployed.memory_reservation, Some(20 << 20));
    let nothing = web("cpus: 0\nmem_limit: 0\npids_limit: 0\nshm_size: '0'").resources;
    assert_eq!(nothing, crate::domain::stack::resources::Resources::default());
    check_refused("mem_limit: lots", "is no size");
    check_refused("mem_limit: 1g\ndeploy: {resources: {limits: {memory: 2g}}}", "differently");
    check_warned("deploy: {resources: {reservations: {cpus: 1}}}", "in clusters alone");
}

#[test]
fn limits_of_processes() {
    let web =
        web("ulimits: {nproc: 5, nofile: {soft: 1, hard: '2'}, memlock: -1}\nsysctls: [a.b=1 2, c.d=0]");
    assert_eq!(web.ulimits["nofile"], Ulimit { soft: 1, hard: 2 });
    assert_eq!(web.ulimits["nproc"], Ulimit { soft: 5, hard: 5 });
    assert_eq!(web.ulimits["memlock"], Ulimit { soft: -1, hard: -1 });
    assert_eq!(web.sysctls["a.b"], "1 2");
    check_refused("ulimits: {nofile: many}", "whole number");
}

#[test]
fn devices() {
    let file = |source: &str, target: &str, permissions: Option<&str>| Device::File {
        source: source.into(),
        target: target.into(),
        permissions: permissions.map(str::to_owned),
    };
    let cdi = |name: &str| Device::Cdi(name.to_owned());
    for (lines, expect) in [
        ("devices: [/dev/a]", vec![file("/dev/a", "/dev/a", None)]),
        ("devices: ['/dev/a:/dev/b:r']", vec![file("/dev/a", "/dev/b", Some("r"))]),
        (
            "devices: [{source: /dev/a, target: /dev/b, permissions: rw}]",
            vec![file("/dev/a", "/dev/b", Some("rw"))],
        ),
        ("devices: ['vendor.com/gpu=1']", vec![cdi("vendor.com/gpu=1")]),
        ("gpus: all", vec![cdi("nvidia.com/gpu=all")]),
        ("gpus: [{count: 2}]", vec![cdi("nvidia.com/gpu=0"), cdi("nvidia.com/gpu=1")]),
    ] {
        assert_eq!(web(lines).devices, expect, "{lines}");
    }
    let reserved = |lines: &str| {
        web(&format!("deploy: {{resources: {{reservations: {{devices: [{lines}]}}}}}}")).devices
    };
    assert_eq!(reserved("{driver: nvidia, count: all, capabilities: [gpu]}"), [cdi("nvidia.com/gpu=all")]);
    assert_eq!(reserved("{driver: nvidia, capabilities: [gpu]}"), [cdi("nvidia.com/gpu=all")]);
    assert_eq!(reserved("{device_ids: ['1'], capabilities: [gpu]}"), [cdi("nvidia.com/gpu=1")]);
    assert_eq!(reserved("{driver: cdi, device_ids: [a.b/c=d]}"), [cdi("a.b/c=d")]);
    check_refused("devices: [dev/a]", "no absolute path");
    check_refused(
        "deploy: {resources: {reservations: {devices: [{capabilities: [tpu]}]}}}",
        "cannot be told",
    );
}

#[test]
fn isolation() {
    let web = web(
        "privileged: 'true'\ncap_add: [NET_ADMIN, NET_ADMIN]\ncap_drop: [ALL]\nipc: shareable\npid: host\nuts: host\ncgroup: private\n\
         userns_mode: keep-id\nsecurity_opt: ['no-new-privileges:true', 'seccomp:unconfined', 'label:type:x', systempaths=unconfined, seccomp=./p.json]",
    );
    assert!(web.privileged);
    assert_eq!(web.cap_add, ["NET_ADMIN"]);
    assert_eq!((web.ipc, web.pid), (Some(Namespace::Shareable), Some(Namespace::Host)));
    let options =
        ["no-new-privileges", "seccomp=unconfined", "label=type:x", "unmask=ALL", "seccomp=/srv/blog/p.json"];
    assert_eq!(web.security_opt, options);
    check_refused("cgroup: other", "neither host nor private");
    check_refused("pid: other", "is none of host");
    check_refused("security_opt: [foo=bar]", "knows no security option");
}

#[test]
fn process() {
    let web = web(
        "user: 1000\ngroup_add: [44, video]\nworking_dir: /w\ntty: yes\nstdin_open: true\ninit: true\nhostname: h\ndomainname: d\n\
         read_only: true\nlogging: {driver: json-file, options: {max-size: 10m, max-file: 3}}\n\
         post_start: [{command: [a, b], user: root}]\npre_stop: [{command: c d, environment: [A=1]}]",
    );
    assert_eq!((web.user.as_deref(), web.groups), (Some("1000"), words(&["44", "video"])));
    assert!(web.tty && web.stdin_open && web.init && web.read_only);
    let logging = web.logging.unwrap();
    assert_eq!((logging.driver.as_deref(), logging.options["max-file"].as_str()), (Some("json-file"), "3"));
    assert_eq!(web.post_start[0].command, ["a", "b"]);
    assert_eq!((web.pre_stop[0].command.len(), web.pre_stop[0].environment["A"].as_str()), (2, "1"));
    check_refused("post_start: [{user: x}]", "must say what is run");
}

#[test]
fn keys_without_a_meaning() {
    for (lines, expect) in [
        ("develop: {watch: []}", "nothing is watched"),
        ("credential_spec: {file: x}", "on Windows alone"),
        ("external_links: [x]", "Podman has no links"),
        ("deploy: {placement: {constraints: [a]}}", "there is one host"),
        ("deploy: {labels: {a: b}}", "no container gets them"),
        ("deploy: {update_config: {parallelism: 2}}", "for clusters"),
        ("deploy: {mode: global}", "one container here"),
        ("volumes: ['data:/a:cached']", "on macOS alone"),
        ("volumes: ['./a:/a:exec']", "passes over the option"),
        ("ports: [{target: 80, app_protocol: http}]", "nothing acts on"),
    ] {
        check_warned(lines, expect);
    }
    assert_eq!(
        warned("x-anything: [1]\ncpu_count: 0\nattach: false\nscale: 1\nlabels:\nports:\nvolumes: []"),
        ""
    );
    for (lines, expect) in [
        ("models: [m]", "no model runner"),
        ("provider: {type: x}", "another program"),
        ("use_api_socket: true", "no Docker socket"),
        ("volume_driver: x", "knows no key"),
        ("net: host", "knows no key"),
    ] {
        check_refused(lines, expect);
    }
}
