//! Archives as they should be, and as those would make them who want to write elsewhere or fill the disk.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { entries: 50, bytes: 1 << 20, ratio: 100, ratio_from: 1 << 20 };

/// One entry of an archive that a test makes, header by header.
#[derive(Clone)]
struct Entry {
    name: Vec<u8>,
    kind: u8,
    mode: u32,
    target: &'static str,
    size: Option<u64>,
    data: Vec<u8>,
}

fn entry(kind: u8, name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Entry {
    let (name, data) = (name.as_ref().to_vec(), data.as_ref().to_vec());
    Entry { name, kind, mode: 0o644, target: "", size: None, data }
}

fn file(name: impl AsRef<[u8]>) -> Entry {
    entry(b'0', name, "text")
}

fn link(name: &str, target: &'static str) -> Entry {
    Entry { target, ..entry(b'2', name, "") }
}

/// Makes a tape archive by hand: no library would write what is tried here.
fn tape(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Entry { name, kind, mode, target, size, data } in entries {
        let mut header = [0_u8; 512];
        let mut put = |at: usize, field: &[u8]| header[at..at + field.len()].copy_from_slice(field);
        put(0, &name[..name.len().min(100)]);
        put(100, format!("{mode:07o}").as_bytes());
        put(124, format!("{:011o}", size.unwrap_or(data.len() as u64)).as_bytes());
        put(136, b"00000000000");
        put(148, b"        ");
        put(156, &[*kind]);
        put(157, target.as_bytes());
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend(header);
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Makes a zip file; `mode` is that of Unix, and the second name is the one beside the data.
fn zip(entries: &[(&str, &str, u32, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, local_name, mode, data) in entries {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        let packed = encoder.finish().unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(data);
        let offset = u32::try_from(bytes.len()).unwrap();
        let mut middle = vec![20, 0, 0, 8, 8, 0, 0, 0, 0, 0];
        for number in [crc.sum(), u32::try_from(packed.len()).unwrap(), u32::try_from(data.len()).unwrap()] {
            middle.extend(number.to_le_bytes());
        }
        let length = |name: &str| u16::try_from(name.len()).unwrap().to_le_bytes();
        bytes.extend(
            [b"PK\x03\x04", &*middle, &length(local_name), &[0, 0], local_name.as_bytes(), &packed].concat(),
        );
        directory.extend([b"PK\x01\x02\x14\x03", &*middle, &length(name), &[0; 8]].concat());
        directory.extend((mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    let (start, length) = (u32::try_from(bytes.len()).unwrap(), u32::try_from(directory.len()).unwrap());
    bytes.extend(directory);
    bytes.extend(
        [b"PK\x05\x06\0\0\0\0", &count[..], &count, &length.to_le_bytes(), &start.to_le_bytes(), &[0, 0]]
            .concat(),
    );
    bytes
}

/// A directory to unpack into, with something beside it that must stay as it is.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["into", "beside"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    fn unpack(&self, archive: &[u8], limits: Limits) -> Result<(), ArchiveError> {
        let path = self.folder.path().join("archive");
        File::create(&path).unwrap().write_all(archive).unwrap();
        let outcome = unpack(&path, &self.folder.path().join("into"), limits, &CancellationToken::new());
        let mut names: Vec<_> =
            std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["archive", "beside", "into"], "nothing is written elsewhere");
        assert_eq!(std::fs::read_dir(self.folder.path().join("beside")).unwrap().count(), 0);
        outcome
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("into").join(name)
    }
}

fn refused(archive: &[u8], entry: &str, rule: &str) {
    let error = Place::new().unpack(archive, LIMITS).unwrap_err();
    match &error {
        ArchiveError::Refused { entry: named, rule: said } => {
            assert!(named.contains(entry) && said.contains(rule), "{error}, not {entry:?}: {rule}");
        }
        ArchiveError::Broken(why) => assert!(why.contains(rule), "{error}, not {rule}"),
        other @ (ArchiveError::Unwritten(_) | ArchiveError::Stopped) => panic!("{other}"),
    }
}

fn tar_refused(entries: &[Entry], entry: &str, rule: &str) {
    refused(&gzip(&tape(entries)), entry, rule);
}

#[test]
fn what_people_pack_is_unpacked() {
    let program = Entry { mode: 0o755, ..file("sub/run") };
    let long = format!("{}/name", "long/".repeat(30));
    let pax = format!("path={long}\n");
    let pax = format!("{} {pax}", pax.len() + 4);
    let entries = [
        entry(b'g', "pax_global_header", "52 comment=0123456789abcdef0123456789abcdef01234567\n"),
        entry(b'5', "./", ""),
        entry(b'5', "./sub/", ""),
        entry(b'5', "sub", ""),
        file("./Containerfile"),
        program,
        link("sub/up", "../Containerfile"),
        link("nowhere", "sub/missing"),
        entry(b'x', "pax", &pax),
        file("short"),
        entry(b'L', "././@LongLink", "gnu/long\0"),
        file("cut"),
    ];
    let place = Place::new();
    place.unpack(&gzip(&tape(&entries)), LIMITS).unwrap();
    let text = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    for name in ["Containerfile", "sub/run", "sub/up", &long, "gnu/long"] {
        assert_eq!(text(name), "text", "{name}");
    }
    let mode = |name: &str| std::fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("Containerfile"), mode("sub/run"), mode("sub")), (0o644, 0o755, 0o755));
    assert!(!place.path("short").exists() && !place.path("cut").exists());
    assert_eq!(std::fs::read_link(place.path("nowhere")).unwrap().to_str(), Some("sub/missing"));
}

#[test]
fn a_zip_is_unpacked() {
    let place = Place::new();
    let entries: [(&str, &str, u32, &[u8]); 4] = [
        ("sub/", "sub/", 0o040_755, b""),
        ("sub/run", "sub/run", 0o100_755, b"text"),
        ("plain", "plain", 0, b"text"),
        ("link", "link", 0o120_777, b"sub/run"),
    ];
    place.unpack(&zip(&entries), LIMITS).unwrap();
    for name in ["sub/run", "plain", "link"] {
        assert_eq!(std::fs::read_to_string(place.path(name)).unwrap(), "text");
    }
    let mode = std::fs::metadata(place.path("sub/run")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn names_that_lead_elsewhere() {
    for (name, rule) in [
        ("../beside/x", "leads upwards"),
        ("a/../../beside/x", "leads upwards"),
        ("/etc/x", "root of the file system"),
        ("a/..", "leads upwards"),
    ] {
        tar_refused(&[file(name)], name, rule);
        refused(&zip(&[(name, name, 0, b"x")]), name, rule);
    }
    tar_refused(&[file(b"a\xff")], "a", "not UTF-8");
    tar_refused(&[file("./")], "./", "cannot hold bytes");
    tar_refused(&[entry(b'x', "p", "20 path=../beside/x\n"), file("a")], "../beside/x", "leads upwards");
    tar_refused(&[entry(b'L', "l", "/abs\0"), file("a")], "/abs", "root of the file system");
    tar_refused(&[entry(b'L', "l", "a/".repeat(66) + "b"), file("a")], "a/a", "too deep");
    let long = "n".repeat(256);
    tar_refused(&[entry(b'L', "l", &long), file("a")], "nnn", "too long");
}

#[test]
fn links_that_lead_elsewhere() {
    for target in ["/etc", "..", "../beside", "sub/../../beside", ""] {
        tar_refused(&[link("link", target)], "link", "out of the archive");
        refused(&zip(&[("link", "link", 0o120_777, target.as_bytes())]), "link", "out of the archive");
    }
    // Each alone stays beneath; together they do not.
    let chain = [link("d/e/up", "../.."), link("out", "d/e/up/../beside")];
    tar_refused(&chain, "out", "out of the archive");
    let dangling = [link("d/e/up", "../.."), link("out", "d/e/up/../missing/x")];
    tar_refused(&dangling, "out", "out of the archive");
}

#[test]
fn nothing_is_written_through_a_link() {
    let through = |name: &str| [entry(b'5', "real", ""), link("link", "real"), file(name)];
    tar_refused(&through("link/x"), "link/x", "through a file or a link");
    let heavy = Entry { size: Some(1 << 30), ..link("heavy", "real") };
    tar_refused(&[heavy], "heavy", "a link cannot hold bytes");
    tar_refused(&through("link"), "link", "comes twice");
    tar_refused(&[file("a"), file("a/b")], "a/b", "through a file or a link");
    tar_refused(&[file("a"), entry(b'5', "a", "")], "a", "through a file or a link");
    tar_refused(&[entry(b'5', "a", ""), file("a")], "a", "comes twice");
    tar_refused(&[file("a"), file("./a")], "a", "comes twice");
    tar_refused(&[Entry { target: "a", ..entry(b'1', "hard", "") }], "hard", "hard links");
}

#[test]
fn what_is_no_file() {
    for kind in [b'3', b'4', b'6', b'7', b'S', b'Z'] {
        tar_refused(&[entry(kind, "odd", "")], "odd", "only files");
    }
    for mode in [0o4755, 0o2755, 0o6644] {
        tar_refused(&[Entry { mode, ..file("su") }], "su", "setuid");
        refused(&zip(&[("su", "su", 0o100_000 | mode, b"x")]), "su", "setuid");
    }
    refused(&zip(&[("dev", "dev", 0o060_644, b"")]), "dev", "only files");
    tar_refused(&[entry(b'x', "p", "22 GNU.sparse.major=1\n"), file("a")], "p", "holes");
}

#[test]
fn headers_that_do_not_agree() {
    tar_refused(&[entry(b'x', "p", "12 size=999\n"), file("a")], "a", "two sizes");
    tar_refused(&[entry(b'g', "g", "12 path=/x\n\n"), file("a")], "g", "");
    refused(&zip(&[("a", "b", 0, b"x")]), "a", "two headers differ");
    let mut sum = zip(&[("a", "a", 0, b"text")]);
    let at = sum.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    sum[at + 16] ^= 1;
    refused(&sum, "a", "check sum");
    let mut size = zip(&[("a", "a", 0, b"text")]);
    let at = size.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    size[at + 24] = 3;
    refused(&size, "a", "longer or shorter");
}

#[test]
fn what_would_fill_the_disk() {
    let many: Vec<_> = (0..60).map(|n| file(format!("f{n}"))).collect();
    tar_refused(&many, "f5", "too many entries");
    let again: Vec<_> = (0..60).map(|_| entry(b'5', "same", "")).collect();
    tar_refused(&again, "same", "too many entries");
    tar_refused(&[entry(b'L', "l", "d/".repeat(60) + "f"), file("a")], "d/d", "too many entries");
    tar_refused(&[entry(b'0', "big", vec![0; 2 << 20])], "big", "too large");
    refused(&zip(&[("big", "big", 0, &vec![0; 2 << 20])]), "big", "too large");
    tar_refused(&[entry(b'x', "p", vec![b'a'; 70_000]), file("a")], "p", "too long");
    // A limit that follows from the archive's own size.
    let limits = Limits { ratio_from: 1000, ..LIMITS };
    let place = Place::new();
    let error = place.unpack(&gzip(&tape(&[entry(b'0', "zeros", vec![0; 900_000])])), limits).unwrap_err();
    assert!(error.to_string().contains("out of proportion"), "{error}");
}

#[test]
fn what_was_cut_off_or_is_no_archive() {
    let whole = gzip(&tape(&[entry(b'0', "a", (0..255).collect::<Vec<u8>>().repeat(40))]));
    refused(&whole[..whole.len() / 2], "", "");
    refused(b"hello", "", "neither tar.gz nor zip");
    refused(b"", "", "neither tar.gz nor zip");
    let whole = zip(&[("a", "a", 0, b"text")]);
    refused(&whole[..whole.len() - 1], "", "no directory");
    Place::new().unpack(&gzip(&tape(&[])), LIMITS).unwrap();
    Place::new().unpack(&zip(&[]), LIMITS).unwrap();
}

#[test]
fn it_ends_when_nobody_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    File::create(&archive).unwrap().write_all(&gzip(&tape(&[file("a")]))).unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    assert!(matches!(unpack(&archive, folder.path(), LIMITS, &stop), Err(ArchiveError::Stopped)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damage_is_refused_or_harmless(at in any::<prop::sample::Index>(), bits in 1_u8.., as_zip in any::<bool>()) {
        let mut bytes = if as_zip {
            zip(&[("sub/a", "sub/a", 0o100_644, b"text"), ("l", "l", 0o120_777, b"sub/a")])
        } else {
            tape(&[entry(b'x', "p", "12 path=b/c\n"), file("a"), link("sub/l", "../a"), entry(b'5', "d", "")])
        };
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        let archive = if as_zip { bytes } else { gzip(&bytes) };
        // `unpack` of the fixture checks that nothing was written elsewhere.
        let place = Place::new();
        drop(place.unpack(&archive, LIMITS));
    }

    #[test]
    fn odd_names_stay_beneath(names in prop::collection::vec("[a./\\-\u{e4}]{1,12}", 1..6), targets in prop::collection::vec("[a./]{1,12}", 1..4)) {
        let files = names.iter().map(file);
        let links = targets.iter().enumerate().map(|(n, target)| link(&format!("a/l{n}"), String::leak(target.clone())));
        let place = Place::new();
        if place.unpack(&gzip(&tape(&files.chain(links).collect::<Vec<_>>())), LIMITS).is_ok() {
            let root = std::fs::canonicalize(place.path("")).unwrap();
            for (n, _) in targets.iter().enumerate() {
                if let Ok(end) = std::fs::canonicalize(place.path(&format!("a/l{n}"))) {
                    prop_assert!(end.starts_with(&root), "{}", end.display());
                }
            }
        }
    }
}
