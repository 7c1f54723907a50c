//! Projects and environments: made, used, and gone with their networks.

use crate::host::Host;

#[test]
fn a_project_comes_and_goes_with_its_network() {
    let host = Host::boot("projects");
    let networks = || {
        let list = host.as_owner(["podman", "network", "ls", "--format", "{{.Name}}"]).succeeds().stdout;
        list.lines().filter(|name| name.starts_with("rivetr-net-")).map(str::to_owned).collect::<Vec<_>>()
    };
    host.rivetr(["apps", "create", "cart", "--project", "shop"]).exits(5).says("rivetr projects create shop");
    host.rivetr(["projects", "create", "shop", "--environment", "staging"]).succeeds();
    host.rivetr(["projects", "create", "shop"]).exits(5).says("there is a project shop already");
    host.rivetr(["apps", "create", "cart", "--project", "shop"])
        .exits(5)
        .says("rivetr projects environments add shop production");
    host.rivetr(["projects", "environments", "add", "shop", "production"]).succeeds();
    host.rivetr(["apps", "create", "cart", "--project", "shop"]).succeeds();
    host.sample("cart").push().succeeds();
    assert_eq!(host.get("cart").status, 200);
    assert_eq!(networks(), ["rivetr-net-shop"]);
    let shown = host.rivetr(["projects", "show", "shop", "--json"]).succeeds().json();
    assert_eq!(shown["environments"], serde_json::json!(["staging", "production"]));
    assert_eq!(shown["apps"], serde_json::json!(["cart"]));

    host.rivetr(["projects", "environments", "delete", "shop", "production"]).exits(5).says("cart");
    host.rivetr(["env", "set", "--project", "shop", "REGION=eu"]).succeeds();
    host.rivetr(["env", "set", "--project", "shop", "--environment", "staging", "LEVEL=debug"]).succeeds();
    host.rivetr(["projects", "environments", "delete", "shop", "staging"]).succeeds();
    host.rivetr(["projects", "delete", "shop"]).exits(5).says("still has apps");
    assert_eq!(host.get("cart").status, 200);
    host.rivetr(["apps", "delete", "cart", "--yes"]).succeeds();
    host.rivetr(["projects", "delete", "shop"]).succeeds();
    host.rivetr(["projects", "show", "shop"]).exits(4);
    assert_eq!(networks(), Vec::<String>::new());
    assert_eq!(host.run(["find", "/etc", "/var/lib/rivetr", "-name", "*shop*"]).succeeds().stdout, "");
}
