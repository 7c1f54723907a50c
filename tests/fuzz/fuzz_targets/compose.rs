//! A compose file, its .env and whatever else it refers to: read or refused, and what is written stays in its lines.
#![no_main]

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use rivetr::compose::{Request, read};
use rivetr::quadlet::features::PodmanFeatures;
use rivetr::quadlet::stack::{Naming, units};
use rivetr::quadlet::unit::Unit;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // A NUL ends the compose file, and the .env after it; the rest is what any other file says.
    let mut parts = text.splitn(3, '\0');
    let [compose, env, other] = [(); 3].map(|()| parts.next());
    let files = |path: &Path| {
        let found = if path.ends_with(".env") { env } else { other };
        found.map(str::to_owned).ok_or(Error::from(ErrorKind::NotFound))
    };
    let request = Request {
        file: PathBuf::from("/srv/stack/compose.yaml"),
        text: compose.unwrap_or_default().to_owned(),
        profiles: vec!["*".to_owned()],
        environment: BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]),
        ..Request::default()
    };
    let reading = match read(&request, &files) {
        Ok(reading) => reading,
        Err(refusal) => return assert!(!refusal.problems.is_empty()),
    };
    let naming = Naming::plain(&reading.stack, "compose.yaml");
    let features = PodmanFeatures::of("5.4.2").unwrap();
    let written = match units(&reading.stack, &naming, features) {
        Ok(written) => written,
        Err(refused) => return assert!(!refused.problems.is_empty()),
    };
    assert_eq!(units(&reading.stack, &naming, features).as_ref(), Ok(&written));
    for (path, file) in &written.files {
        assert!(
            !path.starts_with('/') && !path.split('/').any(|part| part.is_empty() || part == ".."),
            "{path}"
        );
        if !path.contains('/') {
            // No value has become a line or a section of its own: read and written again, the unit is the same.
            assert_eq!(
                Unit::parse(&file.text).map(|unit| unit.to_string()).as_ref(),
                Ok(&file.text),
                "{path}"
            );
            assert!(
                !file.text.lines().any(|line| line.starts_with("ExecStartPre=") && !line.contains("mkdir"))
            );
        }
    }
});
