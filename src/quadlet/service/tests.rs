use std::path::PathBuf;

use super::*;
use crate::compose::{self, Request};
use crate::domain::person::TeamId;
use crate::domain::project::{ProjectId, Subnet};
use crate::domain::service::FileName;
use crate::domain::stack::policy::Circumstances;

const FOLDER: &str = "/compose";
const SOCKET: &str = "/run/user/990/podman/podman.sock";

fn files(given: &[(&str, &str)]) -> Files {
    given.iter().map(|(name, text)| (FileName::parse(name).unwrap(), (*text).to_owned())).collect()
}

fn stack(files: &Files) -> (Stack, Vec<Note>) {
    let text = |path: &Path| {
        let below =
            path.strip_prefix(FOLDER).map_err(|_| std::io::Error::from(std::io::ErrorKind::NotFound))?;
        let found = files.iter().find(|(name, _)| Path::new(name.as_str()) == below);
        found.map(|(_, text)| text.clone()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    };
    let request = Request {
        file: PathBuf::from("/compose/compose.yaml"),
        text: text(Path::new("/compose/compose.yaml")).unwrap(),
        project_name: Some("shop".to_owned()),
        ..Request::default()
    };
    let reading = compose::read(&request, &text).unwrap();
    adapt(reading.stack, &Slug::parse("shop").unwrap(), Path::new(FOLDER), files, Path::new(SOCKET))
}

fn rendered(stack: &Stack, addresses: &BTreeMap<String, Ipv4Addr>, variables: &[(&str, &str)]) -> Rendered {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let project = Project {
        id: ProjectId(1),
        slug: Slug::parse("default").unwrap(),
        team: TeamId::FIRST,
        subnet: Subnet::around(Ipv4Addr::new(10, 90, 0, 0)),
    };
    render(
        stack,
        &Place {
            slug: &Slug::parse("shop").unwrap(),
            project: &project,
            addresses,
            features: PodmanFeatures::of("5.4.2").unwrap(),
            origin: "compose.yaml",
            variables: &variables,
            name: &|value| format!("secret-{}", value.len()),
        },
    )
    .unwrap()
}

const SHOP: &str = "services:\n  web:\n    image: nginx:1\n    container_name: the_web\n    environment:\n      URL: postgres://u:open sesame@db/x\n      \
                    MODE: plain\n    ports: [\"8080:80\", \"443\"]\n    volumes: [./nginx.conf:/etc/nginx.conf:ro, data:/data]\n    \
                    healthcheck: {test: [\"CMD\", \"true\"], interval: 2s, timeout: 1s, retries: 2}\n    networks: [front, back]\n  \
                    db:\n    image: postgres:17\n    networks: [back]\nnetworks:\n  front:\n  back: {internal: true}\nvolumes:\n  data:\n";

#[test]
fn a_service_has_its_own_names_network_and_secrets() {
    let (stack, notes) = stack(&files(&[("compose.yaml", SHOP), ("nginx.conf", "events {}\n")]));
    assert!(notes.iter().any(|note| note.key == "services.web.container_name"), "{notes:?}");
    let addresses = BTreeMap::from([("rivetr-svc-shop-web".to_owned(), Ipv4Addr::new(10, 90, 0, 7))]);
    let rendered = rendered(&stack, &addresses, &[("DB_PASSWORD", "open sesame")]);
    let names: Vec<_> = rendered.files.keys().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "svc-shop/rivetr-svc-shop-back-network.network",
            "svc-shop/rivetr-svc-shop-data-volume.volume",
            "svc-shop/rivetr-svc-shop-db.container",
            "svc-shop/rivetr-svc-shop-front-network.network",
            "svc-shop/rivetr-svc-shop-web.container"
        ]
    );
    // A container whose networks lead nowhere is not put on one that leads out.
    assert_eq!(rendered.joined.iter().collect::<Vec<_>>(), ["rivetr-svc-shop-web"]);
    let text = |end: &str| rendered.files.iter().find(|(path, _)| path.file().ends_with(end)).unwrap().1;
    let web = text("web.container");
    for line in [
        "ContainerName=rivetr-svc-shop-web\n",
        "Network=rivetr-net-default.network:alias=web.shop,alias=shop,ip=10.90.0.7\n",
        "Network=rivetr-svc-shop-front-network.network:alias=web,alias=the_web\n",
        "Volume=rivetr-svc-shop-data-volume.volume:/data\n",
        "Secret=\"secret-29,type=env,target=URL\"\n",
        "Secret=secret-10,type=mount,target=/etc/nginx.conf,mode=0444\n",
        "PublishPort=8080:80\n",
        "Notify=healthy\n",
        "TimeoutStartSec=69\n",
        "NoNewPrivileges=true\n",
        "Slice=rivetr-default.slice\n",
        "DefaultDependencies=false\n",
        "WantedBy=default.target\n",
    ] {
        assert!(web.contains(line), "no {line} in\n{web}");
    }
    assert!(!web.contains("sesame") && !web.contains("PublishPort=443"), "{web}");
    assert!(!text("db.container").contains("rivetr-net-default"));
    assert!(text("volume.volume").contains("VolumeName=rivetr-svc-shop_data\n"));
    assert!(text("front-network.network").contains("Options=\"isolate=true\"\n"));
    assert_eq!(rendered.secrets.len(), 2);
    let off = disabled(&rendered.files).unwrap();
    assert!(off.values().all(|text| !text.contains("[Install]")));
    assert_eq!(rendered.parts.iter().map(|part| part.ports.clone()).collect::<Vec<_>>(), [vec![], vec![80]]);
}

#[test]
fn what_a_stack_may_not_have() {
    let socket = Path::new(SOCKET);
    for (more, administrator, key) in [
        ("privileged: true", false, "privileged"),
        ("privileged: true", true, ""),
        ("network_mode: host", false, "network_mode"),
        ("pid: host", false, "pid"),
        ("volumes: [/etc:/x]", true, "volumes"),
        ("volumes: [/srv/media/films:/x]", false, ""),
        ("volumes: [./data:/x]", true, "volumes"),
        ("volumes: [/var/run/docker.sock:/x]", false, "volumes"),
        ("volumes: [/var/run/docker.sock:/x]", true, ""),
        ("ports: [\"80:80\"]", true, "ports"),
        ("ports: [\"8080:80\"]", false, ""),
        ("ports: [\"80\"]", false, ""),
        ("ports: [\"5432:80\"]", true, "ports"),
        ("ports: [\"8080-8081:80-81\", \"8081:1\"]", true, "ports"),
        ("cap_add: [SYS_ADMIN]", false, "cap_add"),
        ("security_opt: [seccomp=unconfined]", false, "security_opt"),
        ("security_opt: [no-new-privileges]", false, ""),
        ("labels: {io.rivetr.app: blog}", true, "labels"),
        ("build: .", true, "build"),
        ("environment: [HOME]", true, "environment"),
    ] {
        let image = if more.starts_with("build") { "" } else { "    image: nginx:1\n" };
        let (stack, _) = stack(&files(&[("compose.yaml", &format!("services:\n  a:\n{image}    {more}\n"))]));
        let taken =
            [(crate::domain::runtime::PublishedPort::parse("5432:5432").unwrap(), "app db".to_owned())];
        let refusals = policy::check(
            &stack,
            &Circumstances {
                administrator,
                rootless: true,
                own_ports: &[7480],
                taken: &taken,
                bind_roots: &[PathBuf::from("/srv/media")],
                folder: Path::new(FOLDER),
                podman_socket: socket,
                real_path: &|path| Some(path.to_owned()),
            },
        );
        let keys: Vec<_> = refusals.iter().map(|refusal| refusal.key.as_str()).collect();
        let expect = if key.is_empty() { vec![] } else { vec![format!("services.a.{key}")] };
        assert_eq!(keys, expect, "{more}: {refusals:?}");
    }
}

#[test]
fn names_of_variables_that_hold_secrets() {
    for (name, secret) in [
        ("POSTGRES_PASSWORD", true),
        ("api_key", true),
        ("JWT_SECRET", true),
        ("APIKEY", true),
        ("POSTGRES_PASSWORD_FILE", false),
        ("POSTGRES_USER", false),
        ("LOG_LEVEL", false),
    ] {
        assert_eq!(is_secret(name), secret, "{name}");
    }
}

#[test]
fn every_template_can_be_written_and_may_be_had() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/catalog");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let template = compose::template(name, &text).unwrap();
        let env: String =
            template.variables.iter().flat_map(|one| [one.name.as_str(), "='value'\n"]).collect();
        let files = files(&[("compose.yaml", &text), (".env", &env)]);
        let (stack, notes) = stack(&files);
        assert_eq!(notes, [], "{name}");
        for administrator in [true, false] {
            let circumstances = Circumstances {
                administrator,
                rootless: true,
                own_ports: &[],
                taken: &[],
                bind_roots: &[],
                folder: Path::new(FOLDER),
                podman_socket: Path::new(SOCKET),
                real_path: &|_| None,
            };
            let may = policy::check(&stack, &circumstances);
            assert_eq!(may.is_empty(), administrator || !template.administrator, "{name}: {may:?}");
        }
        let rendered = rendered(&stack, &BTreeMap::new(), &[]);
        assert_eq!(rendered.notes, [], "{name}");
        assert!(rendered.parts.iter().any(|part| part.name == template.entrance.0), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 12);
}

#[test]
fn a_unit_tells_the_volume_that_it_makes() {
    let shop = Slug::parse("shop").unwrap();
    for (unit, volume) in [
        ("rivetr-svc-shop-data-volume", Some("rivetr-svc-shop_data")),
        ("rivetr-svc-shop-db-volume-volume", Some("rivetr-svc-shop_db-volume")),
        ("rivetr-svc-shop-db_data.1-volume_2", Some("rivetr-svc-shop_db_data.1")),
        ("rivetr-svc-shop-web", None),
        ("rivetr-svc-shop-volumes-web", None),
        ("rivetr-svc-other-data-volume", None),
    ] {
        assert_eq!(volume_of_unit(&shop, unit).as_deref(), volume, "{unit}");
    }
}
