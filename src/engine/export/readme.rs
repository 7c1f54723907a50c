//! What stands beside the units: how they are brought up, step by step, and an example for a proxy in front of them.

use std::fmt::Write as _;

use super::Export;
use crate::quadlet::plain::{Plain, Published};

/// Text that only grows.
struct Text(String);

impl Text {
    fn add(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    fn paragraph(&mut self, text: &str) -> &mut Self {
        self.add("\n").add(text).add("\n")
    }

    /// Commands to be typed as they stand.
    fn commands(&mut self, commands: &[String]) -> &mut Self {
        self.add("\n```sh\n");
        for command in commands {
            self.add(command).add("\n");
        }
        self.add("```\n")
    }
}

/// The README of an export.
pub(super) fn readme(plain: &Plain, export: &Export) -> String {
    let mut text = Text("# Exported from rivetr\n".to_owned());
    text.paragraph(
        "These are plain Quadlets: systemd and Podman 5.4 or newer run them, and no rivetr is needed. Type the commands \
         in this folder, as the user that is to run the containers. For the system's own manager, as root, leave \
         `--user` and `podman unshare` out and put the files into `/etc/containers/systemd` and `/etc/systemd/system`.",
    );
    images(&mut text, export);
    secrets(&mut text, export);
    volumes(&mut text, plain, export);
    units(&mut text, plain);
    starts(&mut text, plain);
    addresses(&mut text, &plain.published);
    if !export.notes.is_empty() {
        text.add("\n## What to know\n\n");
        for note in &export.notes {
            text.add("- ").add(note).add("\n");
        }
    }
    text.0
}

fn images(text: &mut Text, export: &Export) {
    text.add("\n## Images\n");
    if export.images.is_empty() {
        text.paragraph("Every image is pulled from its registry when its container first starts.");
        return;
    }
    text.paragraph("These are in files; the others are pulled when their containers first start.");
    let load = |file: &str| format!("podman load --input images/{file}.tar");
    text.commands(&export.images.iter().map(|image| load(&image.file)).collect::<Vec<_>>());
}

fn secrets(text: &mut Text, export: &Export) {
    if export.secrets.is_empty() {
        return;
    }
    text.add("\n## Secrets\n");
    let (with, without): (Vec<_>, Vec<_>) = export.secrets.iter().partition(|secret| secret.value.is_some());
    if !with.is_empty() {
        text.paragraph(
            "Their values are in the folder `secrets`, readable for whoever gets hold of it: remove it once the secrets \
             are made.",
        );
        let create = |name: &str| format!("podman secret create {name} secrets/{name}");
        text.commands(&with.iter().map(|secret| create(&secret.name)).collect::<Vec<_>>());
    }
    if !without.is_empty() {
        text.paragraph(
            "Their values are not here (`rivetr export --with-secrets` writes them). Each is made so, with its value in \
             place of VALUE:",
        );
        text.add("\n```\n");
        for secret in without {
            text.add(&format!("printf %s 'VALUE' | podman secret create {} -\n", secret.name));
        }
        text.add("```\n");
    }
}

fn volumes(text: &mut Text, plain: &Plain, export: &Export) {
    if plain.volumes.is_empty() {
        return;
    }
    text.add("\n## Volumes\n");
    let names: Vec<&str> = plain.volumes.values().map(String::as_str).collect();
    if export.volumes.is_empty() {
        text.paragraph(&format!(
            "They are made empty when a container first needs them: {}. Their data are not here (`rivetr export \
             --volumes` writes them).",
            names.join(", ")
        ));
        return;
    }
    text.paragraph("Their data, each as of one moment:");
    let commands = export.volumes.iter().flat_map(|volume| {
        let name = &volume.file;
        let place = format!("$(podman volume inspect --format '{{{{.Mountpoint}}}}' {name})");
        let how = "--extract --numeric-owner --same-owner --same-permissions";
        [
            format!("podman volume create {name}"),
            format!("podman unshare tar {how} --directory \"{place}\" --file volumes/{name}.tar"),
        ]
    });
    text.commands(&commands.collect::<Vec<_>>());
}

fn units(text: &mut Text, plain: &Plain) {
    text.add("\n## Units\n");
    let mut commands = vec![
        "mkdir -p ~/.config/containers/systemd ~/.config/systemd/user".to_owned(),
        "cp -R quadlets/. ~/.config/containers/systemd/".to_owned(),
    ];
    if !plain.systemd.is_empty() {
        commands.push("cp -R systemd/. ~/.config/systemd/user/".to_owned());
    }
    commands.push("systemctl --user daemon-reload".to_owned());
    text.commands(&commands);
}

fn starts(text: &mut Text, plain: &Plain) {
    text.add("\n## Start\n");
    text.paragraph(
        "They come up at boot from then on, if the user's manager does: `loginctl enable-linger` sees to that.",
    );
    let mut commands: Vec<String> =
        plain.starts.iter().map(|service| format!("systemctl --user start {service}")).collect();
    commands.extend(plain.timers.iter().map(|timer| format!("systemctl --user enable --now {timer}")));
    if !commands.is_empty() {
        text.commands(&commands);
    }
    if !plain.stopped.is_empty() {
        text.paragraph(&format!(
            "Stopped when this was written, so they do not come up by themselves: {}.",
            plain.stopped.join(", ")
        ));
    }
}

fn addresses(text: &mut Text, published: &[Published]) {
    if published.is_empty() {
        return;
    }
    text.add("\n## Where they answer\n");
    text.paragraph(
        "rivetr's proxy led hosts to containers. In its place each container has a port of this host, on the loopback \
         alone; put a proxy with TLS in front of them (`Caddyfile` is an example for Caddy). Limits, sign-ins and \
         redirects that rivetr's proxy was told are not in it.",
    );
    text.add("\n| container | here | was found at |\n| --- | --- | --- |\n");
    for Published { container, port, hosts } in published {
        let hosts = if hosts.is_empty() { "nowhere".to_owned() } else { hosts.join(", ") };
        text.add(&format!("| {container} | http://127.0.0.1:{port} | {hosts} |\n"));
    }
}

/// The hosts with where each leads, for Caddy.
pub(super) fn caddyfile(published: &[Published]) -> String {
    let mut sites: Vec<(&str, Vec<u16>)> = Vec::new();
    for Published { port, hosts, .. } in published {
        for host in hosts {
            match sites.iter_mut().find(|(site, _)| site == host) {
                Some((_, ports)) => ports.push(*port),
                None => sites.push((host, vec![*port])),
            }
        }
    }
    let mut text = "# Written by `rivetr export`: where each host led.\n".to_owned();
    for (site, ports) in sites {
        let targets: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let targets = targets.join(" ");
        // Writing to a text does not fail.
        match site.split_once('/') {
            None => write!(text, "\n{site} {{\n\treverse_proxy {targets}\n}}\n"),
            Some((host, path)) => {
                write!(text, "\n{host} {{\n\treverse_proxy /{path}* {targets}\n}}\n")
            }
        }
        .unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::deployment::ImageId;
    use crate::domain::secret::Secret;
    use crate::engine::{ExportedImage, ExportedSecret, ExportedVolume};
    use std::collections::BTreeMap;

    fn published() -> Vec<Published> {
        let port = |container: &str, port, hosts: &[&str]| Published {
            container: container.to_owned(),
            port,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        };
        vec![
            port("shop-blog", 8001, &["blog.example.org", "example.org/blog"]),
            port("shop-blog-2", 8002, &["blog.example.org", "example.org/blog"]),
            port("shop-worker", 8003, &[]),
        ]
    }

    fn example() -> (Plain, Export) {
        let plain = Plain {
            volumes: BTreeMap::from([("rivetr-vol-blog-data".to_owned(), "shop-blog-data".to_owned())]),
            published: published(),
            starts: vec!["shop-blog.service".to_owned()],
            stopped: vec!["shop-old.service".to_owned()],
            timers: vec!["shop-blog-tidy.timer".to_owned()],
            systemd: BTreeMap::from([("shop-blog-tidy.timer".to_owned(), String::new())]),
            ..Plain::default()
        };
        let secret = |name: &str, value: Option<&str>| ExportedSecret {
            name: name.to_owned(),
            value: value.map(Secret::from),
        };
        let export = Export {
            files: BTreeMap::new(),
            images: vec![ExportedImage {
                id: ImageId::parse(&"a".repeat(64)).unwrap(),
                file: "rivetr-blog-7".to_owned(),
                size: 1,
            }],
            volumes: vec![ExportedVolume {
                name: "rivetr-vol-blog-data".to_owned(),
                file: "shop-blog-data".to_owned(),
            }],
            secrets: vec![secret("shop-blog-KEY", Some("canary")), secret("by_hand", None)],
            notes: vec!["A note.".to_owned()],
        };
        (plain, export)
    }

    #[test]
    fn the_readme_says_every_command() {
        let (plain, export) = example();
        let text = readme(&plain, &export);
        for line in [
            "podman load --input images/rivetr-blog-7.tar",
            "podman secret create shop-blog-KEY secrets/shop-blog-KEY",
            "printf %s 'VALUE' | podman secret create by_hand -",
            "podman volume create shop-blog-data",
            "podman unshare tar --extract --numeric-owner --same-owner --same-permissions --directory \
             \"$(podman volume inspect --format '{{.Mountpoint}}' shop-blog-data)\" --file volumes/shop-blog-data.tar",
            "cp -R systemd/. ~/.config/systemd/user/",
            "systemctl --user start shop-blog.service",
            "systemctl --user enable --now shop-blog-tidy.timer",
            "| shop-blog | http://127.0.0.1:8001 | blog.example.org, example.org/blog |",
            "| shop-worker | http://127.0.0.1:8003 | nowhere |",
            "- A note.",
        ] {
            assert!(text.lines().any(|there| there == line), "no {line:?} in\n{text}");
        }
        assert!(text.contains("shop-old.service") && !text.contains("canary"), "{text}");
    }

    #[test]
    fn what_there_is_none_of_is_not_told() {
        let export = Export {
            files: BTreeMap::new(),
            images: Vec::new(),
            volumes: Vec::new(),
            secrets: Vec::new(),
            notes: Vec::new(),
        };
        let text = readme(&Plain::default(), &export);
        for word in ["Secrets", "Volumes", "Where they answer", "What to know", "podman load"] {
            assert!(!text.contains(word), "{word} in\n{text}");
        }
    }

    #[test]
    fn every_host_leads_to_all_its_containers() {
        assert_eq!(
            caddyfile(&published()),
            "# Written by `rivetr export`: where each host led.\n\n\
             blog.example.org {\n\treverse_proxy 127.0.0.1:8001 127.0.0.1:8002\n}\n\n\
             example.org {\n\treverse_proxy /blog* 127.0.0.1:8001 127.0.0.1:8002\n}\n"
        );
    }
}
