//! The sample app: one page, served by busybox. All of it stands in a Containerfile, so that nothing is fetched but a
//! base image of 2 MB, and not even that where it is on the machine.

/// The app.
pub(super) const CONTAINERFILE: &str = r#"# The sample app of rivetr: one page, served by busybox.
FROM docker.io/library/busybox:stable
COPY <<'PAGE' /www/index.html
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>It works</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 1.0625rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 16vh auto; padding: 0 1.5rem; }
  h1 { font-size: 2.25rem; letter-spacing: -0.02em; line-height: 1.2; }
  strong { color: light-dark(#187a4b, #6fd6a2); }
  code { font-size: 0.9em; }
</style>
<h1>It works</h1>
<p><strong>This page is live.</strong> rivetr built it from a Containerfile of a few lines and runs it as an ordinary
systemd unit behind its proxy.</p>
<p>Change it under Settings in the dashboard and press Deploy, or make an app of your own from a Git repository.</p>
PAGE
EXPOSE 8080
# As PID 1 httpd has no handler for SIGTERM, and nothing to save.
STOPSIGNAL SIGKILL
CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]
"#;
