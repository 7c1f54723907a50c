//! Stacks as units, in tables. That Podman's generator takes them is seen with the files of `tests/compose`.

use std::time::Duration;

use super::*;
use crate::domain::stack::container::{Build, Container, Logging, Namespace, Peer, Pull, VolumesFrom};
use crate::domain::stack::health::{Health, HealthCheck, Test};
use crate::domain::stack::mount::{
    FileKind, FileOrigin, GrantedFile, Mount, MountSource, Relabel, Tmpfs, Volume,
};
use crate::domain::stack::network::{
    AddressRange, Attachment, ExtraHost, Network, NetworkMode, Protocol, PublishedPort,
};
use crate::domain::stack::resources::{Device, Ulimit};
use crate::domain::stack::start::{Condition, Dependency, Hook, Restart};

fn text(text: &str) -> String {
    text.to_owned()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|one| text(one)).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn on(network: &str) -> Attachment {
    Attachment { network: text(network), ..Attachment::default() }
}

fn service(name: &str) -> Container {
    Container {
        service: text(name),
        image: ImageSource::Reference(text("docker.io/library/nginx:1.29")),
        replicas: 1,
        networks: vec![on("default")],
        ..Container::default()
    }
}

/// A stack of these services, a network, a volume of its own and one that is there already.
fn stack(services: impl IntoIterator<Item = Container>) -> Stack {
    let network = |name: &str, external| Network { name: text(name), external, ..Network::default() };
    let volume = |name: &str, external| Volume { name: text(name), external, ..Volume::default() };
    Stack {
        name: text("shop"),
        containers: services.into_iter().map(|service| (service.service.clone(), service)).collect(),
        networks: BTreeMap::from([
            (text("default"), network("shop_default", false)),
            (text("front"), network("proxy", true)),
            (text("host"), network("host", true)),
        ]),
        volumes: BTreeMap::from([
            (text("data"), volume("shop_data", false)),
            (text("old"), volume("old", true)),
        ]),
    }
}

fn write(stack: &Stack) -> Result<Written, Refused> {
    units(stack, &Naming::plain(stack, "compose.yaml"), PodmanFeatures::of("5.4.2").unwrap())
}

fn said(notes: &[Note]) -> Vec<String> {
    notes.iter().map(|note| format!("{}: {}", note.key, note.message)).collect()
}

/// The lines of the service `web`, changed like this, besides those of every service; and what was noted.
fn web(change: impl FnOnce(&mut Container)) -> (Vec<String>, Vec<String>) {
    let plain = write(&stack([service("web")])).unwrap();
    let usual: Vec<&str> = plain.files["shop-web.container"].text.lines().collect();
    let mut changed = service("web");
    change(&mut changed);
    let written = write(&stack([changed, service("db")])).unwrap();
    let unit = &written.files["shop-web.container"].text;
    assert_eq!(Unit::parse(unit).unwrap().to_string(), *unit);
    let lines = unit.lines().filter(|line| !usual.contains(line)).map(text).collect();
    (lines, said(&written.notes))
}

fn check(change: impl FnOnce(&mut Container), expect: &[&str]) {
    assert_eq!(web(change), (texts(expect), Vec::new()));
}

fn check_noted(change: impl FnOnce(&mut Container), expect: &[&str], note: &str) {
    let (lines, notes) = web(change);
    assert_eq!(lines, texts(expect));
    assert!(notes.len() == 1 && notes[0].starts_with(note), "{notes:?}");
}

fn check_refused(change: impl FnOnce(&mut Container), problem: &str) {
    let mut changed = service("web");
    change(&mut changed);
    let refused = write(&stack([changed, service("db")])).unwrap_err();
    let problems = said(&refused.problems);
    assert!(problems.len() == 1 && problems[0].starts_with(problem), "{problems:?}");
}

#[test]
fn a_service_a_network_and_a_volume() {
    let written = write(&stack([service("web")])).unwrap();
    let names: Vec<_> = written.files.keys().map(String::as_str).collect();
    assert_eq!(names, ["shop-data.volume", "shop-default.network", "shop-web.container"]);
    assert_eq!(
        written.files["shop-web.container"].text,
        "# The service web of compose.yaml, written by rivetr.\n\n\
         [Unit]\nDescription=web of shop\n\n\
         [Container]\nImage=docker.io/library/nginx:1.29\nContainerName=shop-web-1\n\
         Network=shop-default.network\nNetworkAlias=web\n\n\
         [Service]\nTimeoutStartSec=900\nSuccessExitStatus=137 143\n\n\
         [Install]\nWantedBy=default.target\n"
    );
    assert!(written.files["shop-data.volume"].text.ends_with("[Volume]\nVolumeName=shop_data\n"));
    assert!(written.files["shop-default.network"].text.ends_with("[Network]\nNetworkName=shop_default\n"));
}

#[test]
fn words_arrive_whole() {
    check(
        |c| c.command = Some(texts(&["sh", "-c", "echo $HOME; date +%s"])),
        &[r#"Exec=sh -c "echo $$HOME; date +%%s""#],
    );
    check(
        |c| c.command = Some(texts(&["redis-server", "--save", "", ";", "\\;"])),
        &[
            r#"Exec=redis-server --save ${QUADLET_EMPTY} ${QUADLET_SEMICOLON} "\\;""#,
            r#"Environment="QUADLET_EMPTY=""#,
            r#"Environment="QUADLET_SEMICOLON=;""#,
        ],
    );
    check(
        |c| c.command = Some(texts(&["a\n[Service]\nExecStartPre=/x", "b\\"])),
        &[r#"Exec="a\n[Service]\nExecStartPre=/x" "b\\""#],
    );
    check(
        |c| c.entrypoint = Some(texts(&["a b", "", "\"$X\"\né\u{7f}😀"])),
        &[r#"Entrypoint=["a b","","\"$$X\"\n\u00e9\u007f\ud83d\ude00"]"#],
    );
    check(|c| c.entrypoint = Some(Vec::new()), &["Entrypoint=[]"]);
    check(
        |c| {
            c.entrypoint = Some(texts(&["x"]));
            c.command = Some(Vec::new());
        },
        &[r#"Entrypoint=["x"]"#],
    );
    check_noted(|c| c.command = Some(Vec::new()), &[], "services.web.command: an empty command");
}

#[test]
fn variables_arrive_whole() {
    check(
        |c| {
            c.environment =
                pairs(&[("A", "b c"), ("E", ""), ("N", "x\ny"), ("Q", "\"'$z%\\"), ("W", "a\r\nb")]);
        },
        &[
            r#"Environment="A=b c""#,
            r#"Environment="E=""#,
            r#"Environment="N=x\ny""#,
            r#"Environment="Q=\"'$$z%%\\""#,
            "PodmanArgs=--env=W",
            r#"Environment="W=a\r\nb""#,
        ],
    );
    check(|c| c.passed_through = texts(&["TOKEN"]), &["PodmanArgs=--env=TOKEN"]);
    check(|c| c.env_files = vec!["/srv/a b.env".into()], &[r#"EnvironmentFile="/srv/a b.env""#]);
    check(
        |c| c.labels = pairs(&[("a: b", ""), ("rule", "Host(`x`)")]),
        &[r#"Label="a: b=""#, r#"Label="rule=Host(`x`)""#],
    );
    check_refused(
        |c| c.environment = pairs(&[("A", "\u{fffe}")]),
        "services.web.environment.A: Environment cannot be written into a unit: it holds U+0080",
    );
}

#[test]
fn users() {
    for (user, lines) in [
        ("1000", &["User=1000"][..]),
        ("1000:100", &["User=1000", "Group=100"]),
        (":100", &["PodmanArgs=--user=:100"]),
        ("", &[]),
    ] {
        check(|c| c.user = Some(text(user)), lines);
    }
}

#[test]
fn what_hides_a_part_of_a_mount_is_empty() {
    let bind = |target: &str| Mount {
        source: MountSource::Bind {
            path: "/srv/app".into(),
            create: false,
            propagation: None,
            relabel: None,
            recursive: None,
            options: Vec::new(),
        },
        target: text(target),
        read_only: false,
    };
    for (target, expect) in [
        ("/app/secrets", "Tmpfs=/app/secrets:notmpcopyup"),
        ("/app", "Tmpfs=/app"),
        ("/apple", "Tmpfs=/apple"),
    ] {
        let tmpfs = Tmpfs { target: text(target), options: Vec::new() };
        check(
            |c| {
                c.mounts = vec![bind("/app")];
                c.tmpfs = vec![tmpfs];
            },
            &["Volume=/srv/app:/app", expect],
        );
    }
}

#[test]
fn images() {
    check_refused(|c| c.image = ImageSource::Reference(text("--volume=/:/host")), "services.web.image: ");
    let named = |c: &mut Container| c.image = ImageSource::Reference(text("example.org/a.build"));
    assert_eq!(web(named).0, ["Image=example.org/a.build:latest"]);
    let recipe = Box::new(Build { context: text("/srv/app"), ..Build::default() });
    let built = |c: &mut Container| {
        c.image = ImageSource::Build { build: recipe.clone(), reference: None };
        c.pull = Some(Pull::Always);
    };
    check_noted(built, &["Image=shop-web.build"], "services.web.pull_policy: ");
    // What another one builds, whichever of both writes the tag.
    let mut builder = service("web");
    let reference = Some(text("docker.io/library/own"));
    builder.image = ImageSource::Build { build: recipe.clone(), reference };
    let mut user = service("worker");
    user.image = ImageSource::Reference(text("docker.io/library/own:latest"));
    let second = Container { service: text("yearly"), ..builder.clone() };
    let files = write(&stack([builder, user, second])).unwrap().files;
    assert!(files["shop-worker.container"].text.contains("\nImage=shop-web.build\n"));
    assert!(files["shop-yearly.container"].text.contains("\nImage=shop-yearly.build\n"));
    assert!(files["shop-yearly.build"].text.contains("After=shop-web-build.service\n"));
    assert!(!files["shop-web.build"].text.contains("After="));
}

#[test]
fn a_build() {
    let build = Build {
        context: text("/srv/app"),
        dockerfile_inline: Some(text("FROM a\n\nRUN b \\\n  && c 50%\n")),
        args: BTreeMap::from([(text("A"), Some(text("b c"))), (text("B"), None)]),
        target: Some(text("last")),
        ..Build::default()
    };
    let web =
        Container { image: ImageSource::Build { build: Box::new(build), reference: None }, ..service("Web") };
    let unit = &write(&stack([web])).unwrap().files["shop-Web.build"].text;
    assert!(
        unit.ends_with(
            "[Build]\nImageTag=localhost/shop-web:latest\nSetWorkingDirectory=/srv/app\nFile=-\nTarget=last\n\
             PodmanArgs=\"--build-arg=A=b c\"\nPodmanArgs=--build-arg=B\n\n\
             [Service]\nStandardInput=data\nStandardInputText=FROM a\nStandardInputText=\\nRUN b \\x5c\n\
             StandardInputText=\\x20 && c 50%%\nRemainAfterExit=yes\n"
        ),
        "{unit}"
    );
}

#[test]
fn networks_and_names_on_them() {
    check(
        |c| {
            c.networks = vec![
                Attachment { aliases: texts(&["www", "web"]), ipv4: Some(text("10.5.0.5")), ..on("default") },
                Attachment { interface: Some(text("eth9")), ..on("front") },
            ];
            c.mac_address = Some(text("92:d0:c6:0a:29:33"));
        },
        &[
            "Network=shop-default.network:alias=web,alias=www,ip=10.5.0.5,mac=92:d0:c6:0a:29:33",
            "Network=proxy:alias=web,interface_name=eth9",
        ],
    );
    check(|c| c.networks = vec![on("front")], &["Network=proxy"]);
    check(|c| c.networks = vec![on("host")], &["Network=host"]);
    let mode = |mode| move |c: &mut Container| (c.network_mode, c.networks) = (Some(mode), Vec::new());
    check(mode(NetworkMode::None), &["Network=none"]);
    check(mode(NetworkMode::Of(Peer::Container(text("vpn")))), &["Network=container:vpn"]);
    check(mode(NetworkMode::Of(Peer::Service(text("db")))), &["Network=shop-db.container"]);
    check_refused(
        mode(NetworkMode::Of(Peer::Service(text("gone")))),
        "services.web.network_mode: it is another's, but no container of the service gone runs",
    );
    check(|c| c.extra_hosts = vec![ExtraHost { name: text("a"), address: text("::1") }], &["AddHost=a:::1"]);
}

#[test]
fn ports() {
    let port = |ip: &str, host, container, protocol| PublishedPort {
        host_ip: (!ip.is_empty()).then(|| ip.parse().unwrap()),
        host,
        container,
        protocol,
    };
    for (port, line) in [
        (port("", Some((8080, 8080)), (80, 80), Protocol::Tcp), "PublishPort=8080:80"),
        (port("", None, (80, 80), Protocol::Tcp), "PublishPort=80"),
        (port("127.0.0.1", None, (53, 53), Protocol::Udp), "PublishPort=127.0.0.1::53/udp"),
        (port("::1", Some((1, 3)), (4, 6), Protocol::Sctp), "PublishPort=[::1]:1-3:4-6/sctp"),
    ] {
        check(|c| c.ports = vec![port], &[line]);
    }
    let range = port("", Some((8000, 8001)), (80, 80), Protocol::Tcp);
    let replicas = |replicas, ports| Container { replicas, ports, ..service("web") };
    let files = write(&stack([replicas(2, vec![range.clone()])])).unwrap().files;
    assert!(files["shop-web.container"].text.contains("\nPublishPort=8000:80\n"));
    assert!(files["shop-web-2.container"].text.contains("\nPublishPort=8001:80\n"));
    assert!(write(&stack([replicas(3, vec![range])])).is_err());
    let host = port("", Some((80, 80)), (80, 80), Protocol::Tcp);
    check_noted(
        |c| (c.network_mode, c.networks, c.ports) = (Some(NetworkMode::Host), Vec::new(), vec![host]),
        &["Network=host"],
        "services.web.ports: they are left out",
    );
}

#[test]
fn no_two_units_share_a_name() {
    let files = write(&stack([
        Container { replicas: 2, ..service("a") },
        service("a-2"),
        service("data-volume"),
        service("default-network"),
        service("Side.Car"),
    ]));
    let files = files.unwrap().files;
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "shop-Side.Car.container",
            "shop-a-2.container",
            "shop-a-2_2.container",
            "shop-a.container",
            "shop-data-volume.container",
            "shop-data.volume",
            "shop-default-network.container",
            "shop-default.network",
        ]
    );
    assert!(files["shop-data.volume"].text.contains("\nServiceName=shop-data-volume_2\n"));
    assert!(files["shop-default.network"].text.contains("\nServiceName=shop-default-network_2\n"));
    assert!(files["shop-a-2_2.container"].text.contains("\nContainerName=shop-a-2\n"));
    let twice = Container { container_name: Some(text("shop-web-1")), ..service("db") };
    assert!(write(&stack([service("web"), twice])).is_err(), "the second would end the first");
}

#[test]
fn mounts() {
    let mount = |source, target: &str, read_only| Mount { source, target: text(target), read_only };
    let volume = |key: &str, no_copy, subpath: Option<&str>| MountSource::Volume {
        key: text(key),
        no_copy,
        subpath: subpath.map(text),
        relabel: None,
    };
    let bind = |path: &str, create| MountSource::Bind {
        path: path.into(),
        create,
        propagation: None,
        relabel: None,
        recursive: None,
        options: Vec::new(),
    };
    let labelled = MountSource::Bind {
        path: "/srv/100%".into(),
        create: false,
        propagation: Some(text("rshared")),
        relabel: Some(Relabel::Private),
        recursive: None,
        options: texts(&["cached", "U"]),
    };
    for (mount, lines) in [
        (mount(volume("data", true, None), "/data/", true), &["Volume=shop-data.volume:/data:ro,nocopy"][..]),
        (mount(volume("old", false, None), "/old", false), &["Volume=old:/old"]),
        (
            mount(volume("data", false, Some("a")), "/a", false),
            &["Mount=type=volume,source=shop-data.volume,destination=/a,subpath=a"],
        ),
        (mount(MountSource::Anonymous, "/cache", false), &["Volume=/cache"]),
        (
            mount(MountSource::Anonymous, "/cache", true),
            &["PodmanArgs=--mount=type=volume,destination=/cache,ro=true"],
        ),
        (
            mount(bind("/srv/my data", true), "/x", true),
            &["Volume=/srv/my data:/x:ro", r#"ExecStartPre=-/usr/bin/mkdir -p -- "/srv/my data""#],
        ),
        (mount(labelled, "/x", false), &["Volume=/srv/100%%:/x:Z,rshared,U"]),
        (
            mount(bind("/a:b,c", false), "/x", true),
            &[r#"Mount="type=bind,\"source=/a:b,c\",destination=/x,ro=true""#],
        ),
        (mount(bind("/run/x.sock", true), "/x", false), &["Volume=/run/x.sock:/x"]),
        (
            mount(MountSource::Tmpfs { size: Some(64), mode: Some(0o1777) }, "/t", false),
            &["Tmpfs=/t:size=64,mode=1777"],
        ),
    ] {
        check(|c| c.mounts = vec![mount], lines);
    }
    check_refused(
        |c| c.mounts = vec![mount(volume("none", false, None), "/x", false)],
        "services.web.volumes: the volume none is not declared",
    );
    check_noted(
        |c| c.tmpfs = vec![Tmpfs { target: text("/run"), options: texts(&["size=64m", "gid=5"]) }],
        &["Tmpfs=/run:size=64m"],
        "services.web.tmpfs: Podman does not take gid=5",
    );
    let from = Peer::Service(text("db"));
    check(
        |c| c.volumes_from = vec![VolumesFrom { from, read_only: true }],
        &["Requires=shop-db.service", "After=shop-db.service", "PodmanArgs=--volumes-from=shop-db-1:ro"],
    );
}

#[test]
fn secrets_and_configs() {
    let file = |key: &str, origin| GrantedFile {
        kind: FileKind::Secret,
        key: text(key),
        origin,
        target: format!("/run/secrets/{key}"),
        uid: None,
        gid: None,
        mode: None,
    };
    check(
        |c| c.files = vec![file("a", FileOrigin::Path("/srv/a".into()))],
        &["Volume=/srv/a:/run/secrets/a:ro"],
    );
    check(
        |c| c.files = vec![file("a", FileOrigin::External(text("b")))],
        &["Secret=b,type=mount,target=/run/secrets/a"],
    );
    check_noted(
        |c| c.files = vec![file("a", FileOrigin::Variable(text("PW")))],
        &["Secret=shop_a,type=mount,target=/run/secrets/a"],
        "services.web.secrets.a: PW is not set; before the start, make the secret",
    );
    let content =
        |c: &mut Container| c.files = vec![file("a.container", FileOrigin::Content(text("hunter2")))];
    check(content, &["Volume=./shop-files/secret-a.container_:/run/secrets/a.container:ro"]);
    let mut holder = service("web");
    content(&mut holder);
    let files = write(&stack([holder])).unwrap().files;
    let expect = WrittenFile { text: text("hunter2"), mode: 0o444 };
    assert_eq!(files["shop-files/secret-a.container_"], expect, "no unit to Podman's generator");
}

#[test]
fn health() {
    let test = |test| Health::Check(HealthCheck { test: Some(test), ..HealthCheck::default() });
    for (health, lines) in [
        (Health::Off, &["HealthCmd=none"][..]),
        (test(Test::Shell(text("test \"a\""))), &[r#"HealthCmd=["CMD-SHELL","test \"a\""]"#]),
        (test(Test::Words(texts(&["a", "b c"]))), &[r#"HealthCmd=["a","b c"]"#]),
        (test(Test::Words(texts(&["pg_isready"]))), &["HealthCmd=CMD pg_isready"]),
        (Health::Check(HealthCheck::default()), &[]),
    ] {
        check(|c| c.health = Some(health), lines);
    }
    let one_word = test(Test::Words(texts(&["it's one"])));
    let line = r#"HealthCmd=["CMD-SHELL","'it'\\''s one'"]"#;
    check_noted(|c| c.health = Some(one_word), &[line], "services.web.healthcheck.test: ");
    let every = Health::Check(HealthCheck {
        test: Some(Test::Shell(text("x"))),
        interval: Some(Duration::from_secs(90)),
        timeout: Some(Duration::from_millis(1500)),
        retries: Some(5),
        start_period: Some(Duration::ZERO),
        start_interval: Some(Duration::from_secs(1)),
    });
    check(
        |c| c.health = Some(every),
        &[
            r#"HealthCmd=["CMD-SHELL","x"]"#,
            "HealthInterval=90s",
            "HealthTimeout=1500ms",
            "HealthRetries=5",
            r#"HealthStartupCmd=["CMD-SHELL","x"]"#,
            "HealthStartupInterval=1s",
            "HealthStartupRetries=0",
            "HealthStartupTimeout=1500ms",
        ],
    );
}

#[test]
fn order() {
    let on = |condition, required, restart| {
        move |c: &mut Container| {
            c.depends_on = vec![Dependency { service: text("db"), condition, required, restart }];
        }
    };
    let after = "After=shop-db.service";
    check(on(Condition::Started, true, false), &["Requires=shop-db.service", after]);
    check(on(Condition::Started, false, false), &["Wants=shop-db.service", after]);
    check(on(Condition::Healthy, true, true), &["Requires=shop-db.service", after, "PartOf=shop-db.service"]);

    let waiting = |condition, db: Container| {
        let mut web = service("web");
        on(condition, true, false)(&mut web);
        write(&stack([web, db])).map(|written| written.files["shop-db.container"].text.clone())
    };
    let healthy = waiting(Condition::Healthy, service("db")).unwrap();
    assert!(healthy.contains("\nNotify=healthy\n") && healthy.contains("\nTimeoutStartSec=infinity\n"));
    let always = Container { restart: Restart::Always, ..service("db") };
    let completed = waiting(Condition::Completed, always).unwrap();
    assert!(completed.contains("\nType=oneshot\nRemainAfterExit=yes\nRestart=on-failure\n"), "{completed}");
    assert!(!completed.contains("SuccessExitStatus"), "{completed}");
    let off = Container { health: Some(Health::Off), ..service("db") };
    assert!(waiting(Condition::Healthy, off).is_err());
}

#[test]
fn restarts_and_stops() {
    let pauses = ["RestartSec=100ms", "RestartSteps=9", "RestartMaxDelaySec=60"];
    let lines = |head: &[&str], tail: &[&str]| -> Vec<String> { texts(&[head, &pauses, tail].concat()) };
    let restart = |restart| web(move |c| c.restart = restart).0;
    assert_eq!(restart(Restart::UnlessStopped), lines(&["StartLimitIntervalSec=0", "Restart=always"], &[]));
    let failure = |attempts, delay| Restart::OnFailure { attempts, delay, window: None };
    let force = "RestartForceExitStatus=137 143";
    assert_eq!(
        restart(failure(Some(3), None)),
        lines(&["StartLimitIntervalSec=3600", "StartLimitBurst=4", "Restart=on-failure"], &[force])
    );
    assert_eq!(
        restart(failure(None, Some(Duration::from_secs(5)))),
        ["StartLimitIntervalSec=0", "Restart=on-failure", "RestartSec=5000ms", force]
    );
    check(
        |c| c.stop.stop_grace_period = Some(Duration::from_millis(1500)),
        &["StopTimeout=2", "TimeoutStopSec=22"],
    );
    let hook =
        Hook { command: texts(&["sh", "-c", "a; $B", ""]), user: Some(text("root")), ..Hook::default() };
    check(
        |c| c.post_start = vec![hook],
        &[r#"ExecStartPost=/usr/bin/podman exec --user=root shop-web-1 sh -c "a; $$B" """#],
    );
}

#[test]
fn what_it_may_have_and_do() {
    let security = |option: &str, line: &str| check(|c| c.security_opt = texts(&[option]), &[line]);
    security("no-new-privileges:true", "NoNewPrivileges=true");
    security("label:disable", "SecurityLabelDisable=true");
    security("label=type:x_t", "SecurityLabelType=x_t");
    security("label:user:x", "PodmanArgs=--security-opt=label=user:x");
    security("seccomp=unconfined", "SeccompProfile=unconfined");
    security("apparmor:unconfined", "PodmanArgs=--security-opt=apparmor=unconfined");
    security("systempaths=unconfined", "Unmask=ALL");
    check(|c| c.cap_add = texts(&["NET_ADMIN", "SYS_TIME"]), &["AddCapability=NET_ADMIN SYS_TIME"]);
    check(|c| c.sysctls = pairs(&[("net.a", "1024 65000")]), &[r#"Sysctl="net.a=1024 65000""#]);
    check(
        |c| c.ulimits = BTreeMap::from([(text("nofile"), Ulimit { soft: 1, hard: -1 })]),
        &["Ulimit=nofile=1:-1"],
    );
    check(|c| c.devices = vec![Device::Cdi(text("nvidia.com/gpu=all"))], &["AddDevice=nvidia.com/gpu=all"]);
    check(
        |c| c.expose = texts(&["80", "1-2/udp", "9/sctp"]),
        &["ExposeHostPort=80", "ExposeHostPort=1-2/udp", "PodmanArgs=--expose=9/sctp"],
    );
    check(|c| c.resources.memory = Some(1 << 20), &["PodmanArgs=--memory=1048576"]);
    check(|c| c.ipc = Some(Namespace::Shareable), &["PodmanArgs=--ipc=shareable"]);
    check_noted(
        |c| (c.ipc, c.shm_size) = (Some(Namespace::Host), Some(64)),
        &["PodmanArgs=--ipc=host"],
        "services.web.shm_size: it is left out",
    );
    check_noted(
        |c| (c.pid, c.init) = (Some(Namespace::Host), true),
        &["PodmanArgs=--pid=host"],
        "services.web.init: it is left out",
    );
    check(|c| c.cgroup_parent = Some(text("shop.slice")), &["Slice=shop.slice"]);
    let logging = |driver: &str, options| Logging { driver: Some(text(driver)), options: pairs(options) };
    check(
        |c| c.logging = Some(logging("json-file", &[("max-size", "10m")])),
        &["LogDriver=json-file", "LogOpt=max-size=10m"],
    );
    check(
        |c| c.logging = Some(logging("journald", &[("tag", "{{printf \"%s\" .Name}}")])),
        &["LogDriver=journald", r#"PodmanArgs="--log-opt=tag={{printf \"%%s\" .Name}}""#],
    );
    check_noted(
        |c| c.logging = Some(logging("syslog", &[("syslog-address", "x")])),
        &["LogDriver=journald"],
        "services.web.logging.driver: Podman cannot log to syslog",
    );
}

#[test]
fn networks_and_volumes() {
    let mut stack = stack([service("web")]);
    let range = |subnet: &str, gateway: Option<&str>| AddressRange {
        subnet: Some(text(subnet)),
        ip_range: None,
        gateway: gateway.map(text),
    };
    let network = Network {
        name: text("shop_default"),
        driver: Some(text("bridge")),
        driver_opts: pairs(&[
            ("com.docker.network.bridge.name", "br1"),
            ("com.docker.network.driver.mtu", "1450"),
        ]),
        internal: true,
        ipv6: true,
        ranges: vec![range("fd00::/64", None), range("10.5.0.0/16", Some("10.5.0.1"))],
        ..Network::default()
    };
    stack.networks.insert(text("default"), network);
    let volume = Volume {
        name: text("shop_data"),
        driver_opts: pairs(&[
            ("device", ":/data"),
            ("o", "addr=10.0.0.1,rw"),
            ("type", "nfs"),
            ("size", "1"),
        ]),
        ..Volume::default()
    };
    stack.volumes.insert(text("data"), volume);
    let files = write(&stack).unwrap().files;
    let network = &files["shop-default.network"].text;
    assert!(
        network.ends_with(
            "Driver=bridge\nPodmanArgs=--interface-name=br1\nOptions=\"mtu=1450\"\nInternal=true\nIPv6=true\n\
             Subnet=10.5.0.0/16\nGateway=10.5.0.1\nSubnet=fd00::/64\n"
        ),
        "{network}"
    );
    let volume = &files["shop-data.volume"].text;
    assert!(
        volume.ends_with("Device=:/data\nOptions=addr=10.0.0.1,rw\nPodmanArgs=--opt=size=1\nType=nfs\n"),
        "{volume}"
    );
}

#[test]
fn none_runs_of_a_service_of_no_replicas() {
    let mut web = service("web");
    let on = |service: &str| Dependency {
        service: text(service),
        condition: Condition::Started,
        required: true,
        restart: false,
    };
    web.depends_on = vec![on("db")];
    let written = write(&stack([web, Container { replicas: 0, ..service("db") }])).unwrap();
    assert!(!written.files.contains_key("shop-db.container"));
    assert!(!written.files["shop-web.container"].text.contains("db"));
}
