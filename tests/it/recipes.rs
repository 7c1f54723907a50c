//! Repositories of the shapes that docs/recipes.md has for languages, made of an image that the host can fetch.

use crate::host::Host;

/// Built in one stage and run in another, with all that builds and frameworks want of whoever builds them.
const STAGES: &str = r#"FROM docker.io/library/busybox:stable AS build
WORKDIR /src
COPY lock .
ARG FLAVOUR=plain
RUN --mount=type=cache,target=/cache --mount=type=secret,id=REGISTRY_TOKEN \
    test "$(cat /run/secrets/REGISTRY_TOKEN)" = "open sesame" && \
    echo "$(cat lock)" >> /cache/fetched && mkdir /dist && cp /cache/fetched /dist/fetched
COPY . .
RUN test ! -e .env && echo "$(cat page), $FLAVOUR" > /dist/index.html

FROM docker.io/library/busybox:stable
COPY --from=build /dist /www
EXPOSE 9999
HEALTHCHECK CMD false
USER 1000
STOPSIGNAL SIGKILL
CMD ["sh", "-c", "exec httpd -f -p $PORT -h /www"]
"#;

/// A framework that has a port of its own.
const OWN_PORT: &str = r#"FROM docker.io/library/busybox:stable
RUN mkdir /www && echo own > /www/index.html
EXPOSE 3000
STOPSIGNAL SIGKILL
ENTRYPOINT ["httpd", "-f", "-p", "3000", "-h", "/www"]
"#;

#[test]
fn stages_caches_and_values_of_a_build_do_what_recipes_say() {
    let host = Host::boot("recipes");
    host.rivetr(["apps", "create", "shop", "--port", "3000", "--health-path", "/index.html"]).succeeds();
    host.rivetr(["env", "set", "shop", "FLAVOUR=strong", "--build"]).succeeds();
    host.rivetr(["env", "set", "shop", "REGISTRY_TOKEN=open sesame", "--build", "--secret"]).succeeds();
    let repository = host.repository("shop");
    for (file, text) in [
        ("Containerfile", STAGES),
        ("page", "one"),
        ("lock", "1"),
        (".env", "x"),
        (".containerignore", ".env\n"),
    ] {
        repository.write(file, text);
    }
    repository.commit("One");
    repository.push().succeeds();
    assert_eq!(host.get("shop").body, "one, strong\n");
    let of = |number: u32| format!("rivetr-app-shop-{number}");
    host.as_owner(["podman", "exec", &of(1), "id", "-u"]).succeeds().prints("1000\n");

    // What is as it was is not made again; what a cache holds is there for the next time.
    repository.write("page", "two");
    repository.commit("Two");
    repository.push().succeeds().says("Using cache");
    repository.write("lock", "2");
    repository.commit("Three");
    repository.push().succeeds();
    assert_eq!(host.get("shop").body, "two, strong\n");
    let fetched = host.ask(&host.host_of("shop"), "/fetched").unwrap();
    assert_eq!(fetched.body, "1\n2\n");
    let history = ["podman", "history", "--no-trunc", "localhost/rivetr/shop:3"];
    let history = host.as_owner(history).succeeds().stdout;
    assert!(history.contains("httpd") && !history.contains("sesame"), "{history}");

    host.rivetr(["apps", "create", "own", "--health-timeout", "5"]).succeeds();
    let repository = host.repository("own");
    repository.write("Containerfile", OWN_PORT);
    repository.commit("Its own port");
    let push = repository.push().fails().says("did not answer on port 8080 within 5 s");
    push.says("rivetr apps set own --port 3000");
    host.rivetr(["apps", "set", "own", "--port", "3000"]).succeeds();
    repository.push().succeeds();
    assert_eq!(host.get("own").body, "own\n");
}
