//! In temporary directories; with a generator of our own where only the way it is called matters.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::domain::name::Slug;

fn directory(root: &Path, generator: &str) -> UnitDirectory {
    let (quadlets, units) = (root.join("containers/systemd/rivetr"), root.join("systemd/user"));
    UnitDirectory {
        quadlets,
        units,
        runtime: root.into(),
        aside: root.join("edited-units"),
        generator: generator.into(),
        manager: Manager::User,
    }
}

fn app(slug: &str) -> Owner {
    Owner::App(Slug::parse(slug).unwrap())
}

fn release(slug: &str, number: u32) -> UnitPath {
    UnitPath::quadlet(&app(slug), &format!("rivetr-app-{slug}-{number}.container")).unwrap()
}

fn target(slug: &str) -> UnitPath {
    UnitPath::systemd(&format!("rivetr-app-{slug}.target")).unwrap()
}

/// A program that behaves as Podman's generator does at its edges.
fn fake(root: &Path, script: &str) -> String {
    let path = root.join("generator");
    files::write_whole(&path, format!("#!/bin/sh\n{script}\n").as_bytes(), 0o755).unwrap();
    path.display().to_string()
}

#[test]
fn an_owner_has_a_folder_and_a_handle_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let units = directory(root.path(), "");
    assert!(units.owners().unwrap().is_empty());
    let (blog, handle) = (release("blog", 7), target("blog"));
    units.write(&blog, "[Container]\n").unwrap();
    units.write(&handle, "[Unit]\n").unwrap();
    units.write(&release("blog-2", 1), "other").unwrap();
    units.write(&target("shop"), "lost").unwrap();
    let folder = units.place(&blog).parent().unwrap().to_owned();
    files::write_whole(&folder.join("notes.txt"), b"a person's", 0o600).unwrap();
    files::make_dirs(&folder.join("rivetr-app-blog-7.container.d"), 0o755).unwrap();
    files::write_whole(&units.units.join("rivetr.service"), b"not an owner's", 0o600).unwrap();

    let expected =
        UnitFiles::from([(blog.clone(), "[Container]\n".into()), (handle.clone(), "[Unit]\n".into())]);
    assert_eq!(units.read(&app("blog")).unwrap(), expected);
    assert_eq!(units.read(&app("nobody")).unwrap(), UnitFiles::new());
    assert_eq!(units.owners().unwrap(), BTreeSet::from([app("blog"), app("blog-2"), app("shop")]));
    let mode = |path: &UnitPath| std::fs::metadata(units.place(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(&blog), mode(&handle)], [0o600, 0o644]);
}

#[test]
fn a_folder_goes_with_its_last_file_and_not_before() {
    let root = tempfile::tempdir().unwrap();
    let units = directory(root.path(), "");
    for number in [1, 2] {
        units.write(&release("blog", number), "x").unwrap();
    }
    let folder = units.place(&release("blog", 1)).parent().unwrap().to_owned();
    files::write_whole(&folder.join(".rivetr-abc123.new"), b"left by a crash", 0o600).unwrap();
    units.remove(&release("blog", 1)).unwrap();
    assert!(folder.exists());
    units.remove(&release("blog", 2)).unwrap();
    units.remove(&release("blog", 2)).unwrap();
    assert!(!folder.exists() && units.quadlets.exists());
}

#[test]
fn an_owner_may_have_many_plain_units_and_its_timers_are_enabled() {
    let root = tempfile::tempdir().unwrap();
    let units = directory(root.path(), "");
    let [jobs, orders] = [Owner::Jobs, Owner::Database].map(|of| of(Slug::parse("orders").unwrap()));
    let plain = |file: &str| UnitPath::systemd(file).unwrap();
    let backup = plain("rivetr-backup-orders.timer");
    let (timer, service) = (plain("rivetr-job-orders_tidy.timer"), plain("rivetr-job-orders_tidy.service"));
    for path in [&backup, &timer, &timer, &service] {
        units.write(path, "text").unwrap();
    }
    let files = |paths: &[&UnitPath]| paths.iter().map(|path| ((*path).clone(), "text".to_owned())).collect();
    assert_eq!(units.read(&jobs).unwrap(), files(&[&timer, &service]));
    assert_eq!(units.read(&orders).unwrap(), files(&[&backup]));
    assert_eq!(units.owners().unwrap(), BTreeSet::from([jobs.clone(), orders]));
    let enabled = || files::names(&units.units.join("timers.target.wants")).unwrap();
    assert_eq!(enabled(), [backup.file(), timer.file()]);
    let text = files::read_text(&units.units.join("timers.target.wants").join(timer.file())).unwrap();
    assert_eq!(text.as_deref(), Some("text"), "the link leads to the unit");

    for path in [&timer, &service, &service] {
        units.remove(path).unwrap();
    }
    assert_eq!(units.read(&jobs).unwrap(), UnitFiles::new());
    assert_eq!(enabled(), [backup.file()]);
    units.remove(&backup).unwrap();
    assert_eq!(files::names(&units.units).unwrap(), [""; 0]);
}

#[test]
fn drop_ins_go_from_release_to_release() {
    let root = tempfile::tempdir().unwrap();
    let units = directory(root.path(), "");
    let (old, new) = (release("blog", 7), release("blog", 8));
    for path in [&old, &new] {
        units.write(path, "x").unwrap();
    }
    let folder = |path: &UnitPath| units.place(path).with_extension("container.d");
    let write = |path: &UnitPath, name: &str, text: &str| {
        files::make_dirs(&folder(path), 0o755).unwrap();
        files::write_whole(&folder(path).join(name), text.as_bytes(), 0o644).unwrap();
    };
    assert_eq!(units.carry_dropins(&old, &new).unwrap(), [""; 0]);
    write(&old, "10-memory.conf", "[Service]\nMemoryMax=1G\n");
    write(&old, "20-own.conf", "old");
    write(&new, "20-own.conf", "new");
    let service = |path: &UnitPath| units.units.join(format!("{}.d/override.conf", path.unit()));
    files::make_dirs(files::parent(&service(&old)), 0o755).unwrap();
    files::write_whole(&service(&old), b"[Service]\n", 0o644).unwrap();
    let carried = units.carry_dropins(&old, &new).unwrap();
    assert_eq!(carried, ["10-memory.conf", "20-own.conf", "override.conf"]);
    assert_eq!(files::read_text(&service(&new)).unwrap().unwrap(), "[Service]\n");
    let names = |path| {
        let found = units.dropins_of(path).unwrap();
        found.into_iter().map(|(path, _)| path.file_name().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&new), ["10-memory.conf", "20-own.conf"]);
    assert_eq!(units.plain_dropins_of("rivetr.service").unwrap(), []);
    let read = |path: &UnitPath, name: &str| files::read_text(&folder(path).join(name)).unwrap();
    assert_eq!(read(&new, "10-memory.conf").unwrap(), "[Service]\nMemoryMax=1G\n");
    assert_eq!(read(&new, "20-own.conf").unwrap(), "new");

    units.remove(&old).unwrap();
    units.drop_carried(&old, &new).unwrap();
    assert_eq!(files::names(&folder(&old)).unwrap(), ["20-own.conf"]);
    assert!(!files::parent(&service(&old)).exists() && service(&new).exists());
    files::remove_file(&folder(&old).join("20-own.conf")).unwrap();
    units.drop_carried(&old, &new).unwrap();
    assert!(!folder(&old).exists());
    assert_eq!(files::names(&folder(&new)).unwrap(), ["10-memory.conf", "20-own.conf"]);

    for other in ["rivetr-app-blog-api-1.service.d", "rivetr-db-blog.service.d", "mine.service.d"] {
        files::make_dirs(&units.units.join(other), 0o755).unwrap();
    }
    units.remove_owner(&app("blog")).unwrap();
    units.remove_owner(&Owner::Database(Slug::parse("blog").unwrap())).unwrap();
    assert_eq!(files::names(&units.units).unwrap(), ["mine.service.d", "rivetr-app-blog-api-1.service.d"]);
}

#[test]
fn what_somebody_edited_is_kept_and_drop_ins_get_free_names() {
    let root = tempfile::tempdir().unwrap();
    let units = directory(root.path(), "");
    let path = release("blog", 7);
    assert_eq!(units.keep_aside(&path).unwrap(), None);
    for (text, number) in [("one", 1), ("two", 2)] {
        units.write(&path, text).unwrap();
        let kept = units.keep_aside(&path).unwrap().unwrap();
        assert_eq!(kept, units.aside.join(format!("rivetr-app-blog-7.container.{number}")));
        assert_eq!(files::read_text(&kept).unwrap().unwrap(), text);
    }
    for number in [50, 51] {
        let made = units.add_dropin(&path, "[Service]\n").unwrap();
        assert!(made.ends_with(format!("rivetr-app-blog-7.container.d/{number}-local.conf")), "{made:?}");
    }
    assert_eq!(units.read(&app("blog")).unwrap().len(), 1);
}

#[tokio::test]
async fn a_drop_in_is_compared_by_what_the_generator_makes() {
    let root = tempfile::tempdir().unwrap();
    let script = "cd ${QUADLET_UNIT_DIRS%%:*}/app-blog || exit 9\n\
        echo ---rivetr-app-blog-7.service---; echo [Service]\n\
        cat rivetr-app-blog-7.container rivetr-app-blog-7.container.d/*.conf 2>/dev/null";
    let units = directory(root.path(), &fake(root.path(), script));
    let path = release("blog", 7);
    units.write(&path, "A=1").unwrap();
    assert!(units.says_the_same(&path, ("A=1\n", "A=\nA=2\n"), "A=2\n").await.unwrap());
    assert!(!units.says_the_same(&path, ("A=1\n", "A=2\n"), "A=2\n").await.unwrap());
}

#[tokio::test]
async fn a_check_shows_the_generator_the_new_files_before_those_in_place() {
    let root = tempfile::tempdir().unwrap();
    let script = "test \"$*\" = '-dryrun -no-kmsg-log -user' || exit 9\n\
        new=${QUADLET_UNIT_DIRS%%:*} old=${QUADLET_UNIT_DIRS#*:}\n\
        test \"$(cat $old/app-blog/rivetr-app-blog-7.container)\" = old || exit 8\n\
        test \"$(cat $new/app-blog/rivetr-app-blog-7.container)\" = new || exit 7\n\
        echo ---rivetr-app-blog-7.service---";
    let units = directory(root.path(), &fake(root.path(), script));
    units.write(&release("blog", 7), "old").unwrap();
    let handle = target("blog");
    units.check(&UnitFiles::from([(release("blog", 7), "new".into()), (handle, "x".into())])).await.unwrap();
}

#[tokio::test]
async fn a_check_reports_these_files_and_not_those_of_others() {
    let root = tempfile::tempdir().unwrap();
    let script = "echo ---rivetr-app-blog-7.service---\n\
        echo 'quadlet-generator[1]: converting \"rivetr-app-shop-1.container\": theirs' >&2\n\
        echo 'quadlet-generator[1]: converting \"rivetr-app-blog-8.container\": ours' >&2; exit 1";
    let units = directory(root.path(), &fake(root.path(), script));
    let files = |number| UnitFiles::from([(release("blog", number), String::new())]);
    units.check(&files(7)).await.unwrap();
    let refused = units.check(&files(8)).await.unwrap_err().to_string();
    assert!(
        refused.contains("rivetr-app-blog-8.container: ours") && !refused.contains("theirs"),
        "{refused}"
    );
    let vanished = units.check(&files(9)).await.unwrap_err().to_string();
    assert!(vanished.contains("makes no rivetr-app-blog-9.service"), "{vanished}");
}
