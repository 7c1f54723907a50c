//! Domains and traffic rules, set while an app serves and seen through the proxy at once.

use std::io::Write;

use serde_json::json;

use crate::host::{Answer, Host, Ran};

/// The sample app, with a page at `/inner/page`.
fn app_with_pages(host: &Host, app: &str) {
    host.rivetr(["apps", "create", app]).succeeds();
    let repository = host.sample(app);
    repository.write(
        "Containerfile",
        "FROM docker.io/library/busybox:stable\n\
         RUN mkdir -p /www/inner && echo top > /www/index.html && echo page > /www/inner/page\n\
         CMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n\
         STOPSIGNAL SIGKILL\n",
    );
    repository.commit("Pages");
    repository.push().succeeds();
}

fn ask(host: &Host, name: &str, path: &str) -> Answer {
    host.ask(name, path).unwrap_or_else(|error| panic!("{name}{path} is not answered: {error}"))
}

/// The head of an answer through the proxy, asked from within the host.
fn head(host: &Host, name: &str, path: &str, more: &[&str]) -> Ran {
    let url = format!("http://127.0.0.1{path}");
    let field = format!("Host: {name}");
    let curl = ["curl", "--silent", "--include", "--max-time", "20", "--header", &field, &url];
    host.run(curl.iter().chain(more).copied()).succeeds()
}

/// The status and the place that a redirect names.
fn moved(host: &Host, name: &str, path: &str) -> (String, String) {
    let head = head(host, name, path, &[]).stdout;
    let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let location =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("location: ").map(str::to_owned));
    (status, location.unwrap_or_default().trim().to_owned())
}

#[test]
fn domains_lead_to_an_app_at_once_and_to_no_other() {
    let host = Host::boot("domains");
    app_with_pages(&host, "blog");
    host.rivetr(["apps", "create", "other"]).succeeds();
    let pid = host.main_pid();
    let unit =
        host.systemctl(["show", "--value", "--property=InvocationID", "rivetr-app-blog-1.service"]).stdout;

    let names =
        format!("echo '{} a.test' >> /etc/hosts; echo '192.0.2.9 b.test' >> /etc/hosts", host.address());
    host.run(["sh", "-c", &names]).succeeds();

    assert_eq!(ask(&host, "a.test", "/").status, 404);
    let here = format!("DNS of a.test points here ({})", host.address());
    let added = host.rivetr(["domains", "add", "blog", "a.test"]).succeeds();
    added.says("a.test leads to blog: http://a.test/").says(&here);
    assert_eq!(ask(&host, "a.test", "/").body, "top\n");
    host.rivetr(["domains", "add", "blog", "b.test", "--path", "/in", "--strip"]).succeeds();
    assert_eq!(ask(&host, "b.test", "/in/inner/page").body, "page\n");
    assert_eq!((ask(&host, "b.test", "/").status, ask(&host, "b.test", "/inner/page").status), (404, 404));
    host.rivetr(["domains", "set", "blog", "b.test/in", "--strip", "false"]).succeeds();
    assert_eq!(ask(&host, "b.test", "/in/inner/page").status, 404, "the app sees the whole path");
    host.rivetr(["domains", "add", "blog", "*.wild.test"]).succeeds();
    assert_eq!(ask(&host, "any.wild.test", "/").body, "top\n");
    assert_eq!((ask(&host, "wild.test", "/").status, ask(&host, "a.b.wild.test", "/").status), (404, 404));

    host.rivetr(["domains", "add", "blog", "www.a.test", "--redirect-to", "a.test"]).succeeds();
    let to = ("308".to_owned(), "http://a.test/inner/page?x=1".to_owned());
    assert_eq!(moved(&host, "www.a.test", "/inner/page?x=1"), to);

    host.rivetr(["domains", "add", "other", "a.test"]).exits(5).says("belongs to app blog");
    host.rivetr(["domains", "add", "blog", host.address()]).exits(5).says("rivetr itself answers");
    host.rivetr(["domains", "add", "blog", "c.test", "--redirect-to", "nowhere.test"])
        .exits(5)
        .says("nowhere.test");
    host.rivetr(["domains", "remove", "blog", "a.test"]).exits(5).says("www.a.test redirects to a.test");
    host.rivetr(["projects", "create", "apart"]).succeeds();
    host.rivetr(["apps", "create", "stranger", "--project", "apart"]).succeeds();
    host.rivetr(["domains", "add", "stranger", "mine.wild.test"]).exits(5).says("*.wild.test of app blog");
    host.rivetr(["domains", "add", "stranger", "a.test", "--path", "/mine"]).exits(5).says("of app blog");
    host.rivetr(["domains", "add", "other", "mine.wild.test"]).succeeds();

    let listed = host.rivetr(["domains", "list", "blog"]).succeeds();
    listed.says("www.a.test").says("redirects to a.test").says("b.test/in").says("given by rivetr");
    let elsewhere = format!("DNS of b.test points to 192.0.2.9, not here ({})", host.address());
    host.rivetr(["domains", "check", "blog"]).succeeds().says(&here).says(&elsewhere);
    host.rivetr(["routes"]).succeeds().says("*.wild.test").says("redirects to a.test");
    host.rivetr(["routes", "match", "www.a.test/x"]).succeeds().says("308 to http://a.test/x");
    host.rivetr(["routes", "match", "nobody.test"]).succeeds().says("no app answers");

    host.rivetr(["domains", "remove", "blog", "www.a.test"]).succeeds();
    host.rivetr(["domains", "remove", "blog", "a.test"]).succeeds();
    assert_eq!((ask(&host, "a.test", "/").status, ask(&host, "www.a.test", "/").status), (404, 404));
    host.rivetr(["domains", "remove", "blog", &host.host_of("blog")]).exits(5).says("by itself");
    assert_eq!(host.get("blog").body, "top\n");
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    host.rivetr(["domains", "list", "blog"]).succeeds().says("b.test/in");
    assert_eq!(ask(&host, "any.wild.test", "/").body, "top\n");
    assert_ne!(host.main_pid(), pid);
    let after =
        host.systemctl(["show", "--value", "--property=InvocationID", "rivetr-app-blog-1.service"]).stdout;
    assert_eq!(after, unit, "the app was started anew");
}

#[test]
fn traffic_is_changed_without_a_deployment() {
    let host = Host::boot("traffic");
    app_with_pages(&host, "blog");
    let blog = host.host_of("blog");
    let set = |options: &[&str]| host.rivetr(["traffic", "set", "blog"].iter().chain(options).copied());

    set(&["--redirect", "^/old/(.*)$=/inner/$1 301"]).succeeds().says("/inner/$1 301");
    assert_eq!(moved(&host, &blog, "/old/page").0, "301");
    assert!(moved(&host, &blog, "/old/page").1.ends_with("/inner/page"));
    set(&["--header", "X-Frame-Options: DENY", "--header", "Last-Modified:"]).succeeds();
    let fields = head(&host, &blog, "/", &[]).stdout.to_lowercase();
    assert!(fields.contains("x-frame-options: deny") && !fields.contains("last-modified"), "{fields}");

    set(&["--allow", "192.0.2.0/24"]).succeeds();
    assert_eq!(host.get("blog").status, 403);
    host.rivetr(["routes", "match", &blog]).succeeds().says("403 for all but 192.0.2.0/24");
    set(&["--unset", "allow"]).succeeds();
    assert_eq!(host.get("blog").status, 200);

    set(&["--maintenance", "Back at noon"]).succeeds();
    let answer = host.get("blog");
    assert!(answer.status == 503 && answer.body.contains("Back at noon"), "{answer:?}");
    set(&["--unset", "maintenance"]).succeeds();

    set_password(&host, "ada", "correct horse");
    assert_eq!(host.get("blog").status, 401);
    let with = |password: &str| head(&host, &blog, "/", &["--user", &format!("ada:{password}")]).stdout;
    assert!(
        with("correct horse").starts_with("HTTP/1.1 200") && with("wrong horse").starts_with("HTTP/1.1 401")
    );
    let shown = host.rivetr(["traffic", "show", "blog", "--json"]).succeeds();
    assert_eq!(shown.json()["users"], json!(["ada"]));
    assert!(!shown.stdout.contains("argon2") && !shown.stdout.contains("horse"), "{}", shown.stdout);
    // A rollback, a deployment and a restart change nothing of it.
    host.rivetr(["deploy", "blog"]).succeeds();
    host.rivetr(["rollback", "blog"]).succeeds();
    host.run(["systemctl", "restart", "rivetr.service"]).succeeds();
    assert_eq!(host.get("blog").status, 401);
    set(&["--remove-user", "ada"]).succeeds();
    assert_eq!(host.get("blog").status, 200);

    set(&["--body-limit", "1K"]).succeeds();
    let large = head(&host, &blog, "/", &["--data", &"x".repeat(2000)]).stdout;
    assert!(large.starts_with("HTTP/1.1 413"), "{large}");
    set(&["--redirect", "(=/b"]).exits(2).says("no regular expression");
    let token = format!("RIVETR_TOKEN={}", host.token("read"));
    let as_reader =
        ["env", &token, "rivetr", "--server", "http://127.0.0.1:7480", "traffic", "set", "blog", "--sticky"];
    host.run(as_reader).exits(5).says("scope");
    set(&["--unset", "redirects", "--unset", "response_headers", "--unset", "body-limit"])
        .succeeds()
        .says("as they are");
    assert_eq!(host.rivetr(["traffic", "show", "blog", "--json"]).succeeds().json(), json!({}));
}

/// Hands a password in, as a person would by standard input.
fn set_password(host: &Host, user: &str, password: &str) {
    let mut set = host.spawn(["rivetr", "traffic", "set", "blog", "--user", user, "--password-stdin"]);
    writeln!(set.stdin.take().unwrap(), "{password}").unwrap();
    let output = set.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
