use super::*;

fn found(owner: Owner, file: &str, text: &str) -> Found {
    let plain = matches!(owner, Owner::Jobs(_)) && !file.ends_with(".container");
    let path = if plain { UnitPath::systemd(file) } else { UnitPath::quadlet(&owner, file) }.unwrap();
    Found { owner, project: slug("shop"), path, text: text.to_owned(), drop_ins: Vec::new() }
}

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

fn digits() -> String {
    "a".repeat(64)
}

fn app() -> Found {
    let text = format!(
        "# One release of an app, written by rivetr.\n\n[Unit]\nStartLimitIntervalSec=0\n\
         Wants=rivetr-db-orders.service\nAfter=rivetr-db-orders.service\nPartOf=rivetr-app-blog.target\n\n\
         [Container]\n# The image lies on this host.\nPull=never\nContainerName=rivetr-app-blog-7\n\
         Image={}\nNetwork=rivetr-net-shop.network:ip=10.90.0.7\n\
         Label=\"io.rivetr.app=blog\"\nLabel=\"own=io.rivetr.app\"\n\
         Environment=\"SEEN=rivetr-app-blog-7 100 %%\"\n\
         Secret=\"rivetr-app-blog-7-API_KEY,type=env,target=API_KEY\"\n\
         Volume=rivetr-vol-blog-data.volume:/data\n\n[Quadlet]\nDefaultDependencies=false\n\n\
         [Service]\nRestart=always\nSlice=rivetr-shop.slice\n\n[Install]\nWantedBy=rivetr-app-blog.target\n",
        digits()
    );
    found(Owner::App(slug("blog")), "rivetr-app-blog-7.container", &text)
}

fn all() -> Vec<Found> {
    let volume = |name: &str| {
        format!(
            "[Unit]\nDescription=x\n\n[Volume]\nVolumeName={name}\nServiceName={name}\nLabel=\"io.rivetr.app=blog\"\n"
        )
    };
    let database = "[Container]\nContainerName=rivetr-db-orders\nImage=b\n\
                    Network=rivetr-net-shop.network:alias=orders,ip=10.90.0.8\n\
                    Volume=rivetr-db-orders_01ab.volume:/var/lib/postgresql/data\n\
                    Secret=\"rivetr-db-orders_password,type=mount,target=/run/secrets/rivetr-password,mode=0444\"\n\n\
                    [Install]\nWantedBy=default.target\n";
    let web = "[Unit]\nAfter=rivetr-svc-orders-db.service\n\n[Container]\nContainerName=rivetr-svc-orders-web\n\
               Image=docker.io/library/nginx:1\nPublishPort=8001:80\n\
               Network=rivetr-net-shop.network:alias=web.orders,alias=orders,ip=10.90.0.9\n\
               Network=rivetr-svc-orders-default-network.network:alias=web\n\
               Secret=rivetr-svc-orders-secret-00ff,type=env,target=TOKEN\n\
               Secret=by_hand,type=mount\nVolume=rivetr-svc-orders-web-volume.volume:/data\n";
    let job = "[Unit]\nAfter=rivetr-app-blog-7.service\n\n[Service]\nType=oneshot\n\
               ExecStart=/usr/bin/env /usr/bin/rivetr in-container rivetr-app-blog-7 --as rivetr-job-blog_tidy -- \
               tidy -- \"a b\"\nSlice=rivetr-shop.slice\n";
    let network = "[Network]\nOptions=isolate=true\nNetworkName=rivetr-net-shop\nServiceName=rivetr-net-shop\n\
                   Subnet=10.90.0.0/24\nGateway=10.90.0.1\n";
    vec![
        app(),
        found(Owner::App(slug("blog")), "rivetr-vol-blog-data.volume", &volume("rivetr-vol-blog-data")),
        found(Owner::App(slug("orders")), "rivetr-app-orders-1.container", "[Container]\nImage=c\n"),
        found(Owner::Database(slug("orders")), "rivetr-db-orders.container", database),
        found(
            Owner::Database(slug("orders")),
            "rivetr-db-orders_01ab.volume",
            &volume("rivetr-db-orders_01ab"),
        ),
        found(Owner::Service(slug("orders")), "rivetr-svc-orders-web.container", web),
        found(
            Owner::Service(slug("orders")),
            "rivetr-svc-orders-web-volume.volume",
            &volume("rivetr-svc-orders_web"),
        ),
        found(
            Owner::Service(slug("orders")),
            "rivetr-svc-orders-default-network.network",
            "[Network]\nNetworkName=rivetr-svc-orders-default-network\nServiceName=rivetr-svc-orders-default-network\nSubnet=10.1.0.0/24\n",
        ),
        found(Owner::Jobs(slug("blog")), "rivetr-job-blog_tidy.service", job),
        found(Owner::Jobs(slug("blog")), "rivetr-job-blog_tidy.timer", "[Timer]\nOnCalendar=daily\n"),
        found(Owner::Project(slug("shop")), "rivetr-net-shop.network", network),
    ]
}

fn known() -> Known {
    let image = PlainImage { reference: "localhost/rivetr/blog:7".to_owned(), local: true };
    let reach = Reach { port: 3000, hosts: vec!["blog.example.org".to_owned()] };
    Known {
        images: BTreeMap::from([(digits(), image)]),
        reached: BTreeMap::from([("rivetr-app-blog-7".to_owned(), vec![reach])]),
    }
}

#[test]
fn an_app_is_a_plain_container() {
    let plain = plain(&all(), &known()).unwrap();
    assert_eq!(
        plain.quadlets["shop-blog.container"],
        "# app-blog, exported from rivetr. README.md tells how it is run.\n\n[Unit]\nStartLimitIntervalSec=0\n\
         Wants=shop-orders-db.service\nAfter=shop-orders-db.service\n\n[Container]\nPull=never\n\
         ContainerName=shop-blog\nImage=localhost/rivetr/blog:7\nNetwork=shop-net.network\n\
         Label=\"own=io.rivetr.app\"\nEnvironment=\"SEEN=rivetr-app-blog-7 100 %%\"\n\
         Secret=\"shop-blog-API_KEY,type=env,target=API_KEY\"\nVolume=shop-blog-data.volume:/data\n\
         PublishPort=127.0.0.1:8002:3000\n\n[Quadlet]\nDefaultDependencies=false\n\n[Service]\nRestart=always\n\n\
         [Install]\nWantedBy=default.target\n"
    );
    let expect = Published {
        container: "shop-blog".to_owned(),
        port: 8002,
        hosts: vec!["blog.example.org".to_owned()],
    };
    assert_eq!(plain.published, [expect], "8001 is the service's own");
}

#[test]
fn every_kind_has_a_name_of_its_own() {
    let plain = plain(&all(), &known()).unwrap();
    let files: Vec<&str> = plain.quadlets.keys().chain(plain.systemd.keys()).map(String::as_str).collect();
    assert_eq!(
        files,
        [
            "shop-blog-data.volume",
            "shop-blog.container",
            "shop-net.network",
            "shop-orders-data.volume",
            "shop-orders-db.container",
            "shop-orders-default.network",
            "shop-orders-web.container",
            "shop-orders-web.volume",
            "shop-orders.container",
            "shop-blog-tidy.service",
            "shop-blog-tidy.timer",
        ]
    );
    let pairs = |map: &BTreeMap<String, String>| -> Vec<String> {
        map.iter().map(|(old, new)| format!("{old} {new}")).collect()
    };
    assert_eq!(
        pairs(&plain.secrets),
        [
            "by_hand by_hand",
            "rivetr-app-blog-7-API_KEY shop-blog-API_KEY",
            "rivetr-db-orders_password shop-orders-password",
            "rivetr-svc-orders-secret-00ff shop-orders-TOKEN",
        ]
    );
    assert_eq!(
        pairs(&plain.volumes),
        [
            "rivetr-db-orders_01ab shop-orders-data",
            "rivetr-svc-orders_web shop-orders-web",
            "rivetr-vol-blog-data shop-blog-data",
        ]
    );
    assert_eq!(plain.starts, ["shop-blog.service", "shop-orders-db.service"]);
    assert_eq!(plain.stopped, ["shop-orders.service", "shop-orders-web.service"]);
    assert_eq!(plain.timers, ["shop-blog-tidy.timer"]);
    assert_eq!(plain.containers["rivetr-db-orders"], "shop-orders-db");
}

#[test]
fn nothing_of_rivetr_is_left_but_what_people_wrote() {
    let plain = plain(&all(), &known()).unwrap();
    for (file, text) in plain.quadlets.iter().chain(&plain.systemd) {
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("Environment=")) {
            let own = line.contains("rivetr-") || line.starts_with("Label=\"io.");
            let allowed = line.contains("/run/secrets/rivetr-password");
            assert!(!own || allowed, "{file}: {line}");
        }
    }
    let web = &plain.quadlets["shop-orders-web.container"];
    for line in ["After=rivetr-svc-orders-db.service", "Subnet=10.90.0.0/24", "Gateway="] {
        assert!(!web.contains(line) && !plain.quadlets["shop-net.network"].contains(line), "{line}");
    }
    assert!(web.contains("\nNetwork=shop-net.network:alias=web.orders,alias=orders\n"), "{web}");
    assert!(web.contains("\nNetwork=shop-orders-default.network:alias=web\n"), "{web}");
    assert!(plain.quadlets["shop-orders-default.network"].contains("Subnet=10.1.0.0/24"), "a person's own");
    let job = &plain.systemd["shop-blog-tidy.service"];
    assert!(job.contains("\nExecStart=/usr/bin/podman exec shop-blog tidy -- \"a b\"\n"), "{job}");
    assert!(job.contains("After=shop-blog.service"), "{job}");
}

#[test]
fn what_a_person_put_beside_a_unit_goes_along() {
    let mut app = app();
    app.drop_ins =
        vec![("10-mine.conf".to_owned(), "[Container]\nNetwork=rivetr-net-shop.network\n".to_owned())];
    let mut units = all();
    units[0] = app;
    let plain = plain(&units, &known()).unwrap();
    assert_eq!(
        plain.quadlets["shop-blog.container.d/10-mine.conf"],
        "[Container]\nNetwork=shop-net.network\n"
    );
}

#[test]
fn the_same_units_give_the_same_bytes() {
    assert_eq!(plain(&all(), &known()).unwrap(), plain(&all(), &known()).unwrap());
}

#[test]
fn names_are_swapped_whole() {
    let names = BTreeMap::from([("a-1".to_owned(), "b".to_owned())]);
    for (text, expect) in [
        ("a-1", "b"),
        ("a-1:x,a-1=\"a-1\"", "b:x,b=\"b\""),
        ("a-12 xa-1 a-1.volume", "a-12 xa-1 a-1.volume"),
        ("", ""),
        ("é a-1 é", "é b é"),
    ] {
        assert_eq!(swap(text, &names), expect);
    }
}
