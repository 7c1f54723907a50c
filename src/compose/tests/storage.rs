//! Mounts, secrets and configs, and what the top level says of networks and volumes.

use super::{check_refused, refused, stack, web};
use crate::domain::stack::mount::{FileOrigin, Mount, MountSource, Relabel};

fn mount(text: &str) -> Mount {
    web(&format!("volumes: [{text}]")).mounts.remove(0)
}

fn bind(path: &str) -> MountSource {
    MountSource::Bind {
        path: path.into(),
        create: true,
        propagation: None,
        relabel: None,
        recursive: None,
        options: Vec::new(),
    }
}

fn volume(no_copy: bool) -> MountSource {
    MountSource::Volume { key: "data".to_owned(), no_copy, subpath: None, relabel: None }
}

#[test]
fn short_form() {
    for (text, source, target, read_only) in [
        ("'data:/d'", volume(false), "/d", false),
        ("'data:/d/'", volume(false), "/d", false),
        ("'data:/d:nocopy'", volume(true), "/d", false),
        ("/anon", MountSource::Anonymous, "/anon", false),
        ("'./a:/a:ro'", bind("/srv/blog/a"), "/a", true),
        ("'../a:/a:rw'", bind("/srv/a"), "/a", false),
        ("'.:/a'", bind("/srv/blog"), "/a", false),
        ("'~/a:/a'", bind("/home/me/a"), "/a", false),
        ("'/x y:/a b'", bind("/x y"), "/a b", false),
        ("'${SET:+./s}:/a'", bind("/srv/blog/s"), "/a", false),
    ] {
        let expect = Mount { source, target: target.to_owned(), read_only };
        assert_eq!(mount(text), expect, "{text}");
    }
    let MountSource::Bind { relabel, propagation, .. } = mount("'./a:/a:ro,Z,rslave'").source else {
        panic!()
    };
    assert_eq!((relabel, propagation.as_deref()), (Some(Relabel::Private), Some("rslave")));
    let MountSource::Volume { relabel, .. } = mount("'data:/a:z'").source else { panic!() };
    assert_eq!(relabel, Some(Relabel::Shared));
    assert_eq!(web("volumes: ['data:/a', './b:/b', './a:/a/']").mounts.len(), 2);
}

#[test]
fn long_form() {
    let MountSource::Volume { no_copy, subpath, .. } =
        mount("{type: volume, source: data, target: /d, volume: {nocopy: true, subpath: s}}").source
    else {
        panic!()
    };
    assert_eq!((no_copy, subpath.as_deref()), (true, Some("s")));
    let bound = mount(
        "{type: bind, source: ., target: /b, read_only: true, bind: {create_host_path: false, selinux: z}}",
    );
    assert!(bound.read_only);
    assert!(matches!(bound.source, MountSource::Bind { create: false, relabel: Some(Relabel::Shared), .. }));
    assert_eq!(mount("{type: volume, target: /d}").source, MountSource::Anonymous);
    let memory = mount("{type: tmpfs, target: /t, tmpfs: {size: 10m, mode: 0755}}").source;
    assert_eq!(memory, MountSource::Tmpfs { size: Some(10 << 20), mode: Some(0o755) });
    let image = mount("{type: image, source: alpine, target: /i}").source;
    assert_eq!(image, MountSource::Image { reference: "docker.io/library/alpine".to_owned(), subpath: None });
}

#[test]
fn mounts_that_cannot_be() {
    for (lines, expect) in [
        ("volumes: ['nope:/x']", "no volume \"nope\" is declared"),
        ("volumes: ['C:\\a:/x']", "is a path of Windows"),
        ("volumes: [data]", "no absolute path in the container"),
        ("volumes: ['data:x']", "no absolute path in the container"),
        ("volumes: ['x:/y']", "takes a single letter for a drive"),
        ("volumes: ['${NOPE-}:/x']", "has an empty part"),
        ("volumes: ['./a:/b:ro:z']", "too many colons"),
        ("volumes: [{type: bind, source: /x}]", "must say where it is seen"),
        ("volumes: [{type: bind, target: /x}]", "must say what is mounted"),
        ("volumes: [{type: npipe, source: x, target: /x}]", "cannot be had here"),
        ("volumes: [{source: /x, target: /y}]", "type must be one of"),
        ("volumes: [{type: bind, source: /x, target: /y, foo: 1}]", "knows no key"),
        ("volumes: ./a:/a", "must be a list"),
        ("tmpfs: run", "no absolute path"),
        ("volumes: ['~/a:/a']", "set HOME"),
    ] {
        check_refused(lines, expect);
    }
}

#[test]
fn in_memory_and_of_others() {
    let tmpfs = web("tmpfs: ['/run:size=64m,mode=1777', /tmp, /tmp]").tmpfs;
    assert_eq!(tmpfs.len(), 2);
    assert_eq!(tmpfs[0].options, ["size=64m", "mode=1777"]);
    let from = web("volumes_from: ['db:ro', 'container:x']").volumes_from;
    assert!(from[0].read_only && !from[1].read_only);
}

#[test]
fn secrets_and_configs() {
    let stack = stack(
        "services:\n  a:\n    image: x\n    secrets: [s, {source: t, target: tt, uid: '1', gid: '2', mode: 0400}, {source: u, target: /u, mode: '0440'}]\n    \
         configs: [c, {source: e, target: /etc/e}]\n\
         secrets: {s: {file: ./s}, t: {environment: SET}, u: {environment: NOT}}\n\
         configs: {c: {content: \"a $${B} ${SET}\"}, e: {external: true, name: real}}\n",
    );
    let files = &stack.containers["a"].files;
    let seen: Vec<_> = files.iter().map(|file| file.target.as_str()).collect();
    assert_eq!(seen, ["/run/secrets/s", "/run/secrets/tt", "/u", "/c", "/etc/e"]);
    let origins: Vec<_> = files.iter().map(|file| file.origin.clone()).collect();
    let expect = [
        FileOrigin::Path("/srv/blog/s".into()),
        FileOrigin::Content("set".to_owned()),
        FileOrigin::Variable("NOT".to_owned()),
        FileOrigin::Content("a ${B} set".to_owned()),
        FileOrigin::External("real".to_owned()),
    ];
    assert_eq!(origins, expect);
    assert_eq!(
        (files[1].mode, files[2].mode, files[1].uid.as_deref()),
        (Some(0o400), Some(0o440), Some("1"))
    );
    for (text, expect) in [
        ("services: {a: {image: x, secrets: [s]}}", "no secret \"s\" is declared"),
        ("services: {a: {image: x, configs: [s]}}", "no config \"s\" is declared"),
        ("services: {a: {image: x}}\nsecrets: {s: {}}", "must say where its bytes are"),
        ("services: {a: {image: x}}\nsecrets: {s: {file: a, environment: b}}", "cannot be said together"),
        ("services: {a: {image: x}}\nsecrets: {s: {driver: a, file: b}}", "for clusters"),
    ] {
        let said = refused(text);
        assert!(said.contains(expect), "{text}\ngave\n{said}");
    }
}

#[test]
fn volumes_and_networks() {
    let stack = stack(
        "name: p\nservices: {a: {image: x, volumes: ['v1:/1', 'v2:/2', 'v3:/3', 'v4:/4'], networks: [n1, n2, n3, n4]}}\n\
         volumes:\n  v1:\n  v2: {name: real, labels: {a: b}}\n  v3: {external: true}\n  \
         v4: {driver: local, driver_opts: {type: none, o: bind, device: ./d}}\n  unused:\n\
         networks:\n  n1:\n  n2: {external: {name: older}}\n  n3: {external: true, name: own}\n  \
         n4: {driver: bridge, internal: true, enable_ipv6: 'true', labels: [a=b], driver_opts: {mtu: 1400}, \
         ipam: {driver: default, config: [{subnet: 10.0.0.0/24, gateway: 10.0.0.1}]}}\n  unused:\n",
    );
    let names: Vec<_> =
        stack.volumes.values().map(|volume| (volume.name.as_str(), volume.external)).collect();
    assert_eq!(names, [("p_v1", false), ("real", false), ("v3", true), ("p_v4", false)]);
    assert_eq!(stack.volumes["v4"].driver_opts["device"], "/srv/blog/d");
    let names: Vec<_> =
        stack.networks.values().map(|network| (network.name.as_str(), network.external)).collect();
    assert_eq!(names, [("p_n1", false), ("older", true), ("own", true), ("p_n4", false)]);
    let n4 = &stack.networks["n4"];
    assert!(n4.internal && n4.ipv6 && n4.ipam_driver.is_none());
    assert_eq!(
        (n4.ranges[0].subnet.as_deref(), n4.driver_opts["mtu"].as_str()),
        (Some("10.0.0.0/24"), "1400")
    );
    let both = refused("services: {a: {image: x}}\nvolumes: {v: {external: true, driver: x}}");
    assert!(both.contains("has these settings already"), "{both}");
}
