//! Whether a port is free, and if not, who has it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::path::Path;

/// Who listens on this port, in words; `None` if nobody does.
pub(in crate::cli) fn taken(port: u16) -> Option<String> {
    let in_use = |bound: io::Result<TcpListener>| matches!(bound, Err(error) if error.kind() == io::ErrorKind::AddrInUse);
    // One after the other: the first is dropped before the second is tried.
    let taken = in_use(TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)))
        || in_use(TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)));
    taken.then(|| holder(port).unwrap_or_else(|| "a program of another user".to_owned()))
}

fn holder(port: u16) -> Option<String> {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let inodes: Vec<String> = tables.iter().flat_map(|table| listening_inodes(table, port)).collect();
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let processes = std::fs::read_dir("/proc").ok()?.flatten().map(|process| process.path());
    let mut processes = processes.filter_map(|path| Some((pid(&path)?, path)));
    let (pid, path) = processes.find(|(_, path)| holds(path, &links))?;
    if pid == 1 {
        return Some("a socket unit (see systemctl list-sockets)".to_owned());
    }
    let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
    Some(format!("{} (process {pid})", name.trim()))
}

/// The number of a process's directory; the others there are none's.
fn pid(directory: &Path) -> Option<u32> {
    directory.file_name()?.to_str()?.parse().ok()
}

/// Processes come and go, and those of others cannot be looked into: neither is held against them.
fn holds(process: &Path, links: &[String]) -> bool {
    let Ok(descriptors) = std::fs::read_dir(process.join("fd")) else { return false };
    let targets = descriptors.flatten().filter_map(|each| std::fs::read_link(each.path()).ok());
    targets.into_iter().any(|target| links.iter().any(|link| target.as_os_str() == link.as_str()))
}

/// The sockets that listen on a port, in a table of the form of `/proc/net/tcp` (`man 5 proc_net_tcp`).
fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter_map(|fields| match fields.as_slice() {
        [_, local, _, state, _, _, _, _, _, inode, ..] if local.ends_with(&suffix) && *state == LISTEN => {
            Some((*inode).to_owned())
        }
        _ => None,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let holder = taken(port).unwrap();
        assert!(holder.ends_with(&format!("(process {})", std::process::id())), "{holder}");
        drop(listener);
        assert_eq!(taken(port), None);
    }

    #[test]
    fn only_listening_sockets_of_that_port_count() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0 100 0 0 10 0
   1: 0100007F:0050 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0 100 0 0 10 0
   2: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 103 1 0 100 0 0 10 0
";
        assert_eq!(listening_inodes(table, 80), ["101"]);
        assert_eq!(listening_inodes(table, 8080), ["103"]);
        assert!(listening_inodes("", 80).is_empty());
    }
}
