//! How a unit stands: systemd's properties as values.

use std::collections::HashMap;
use std::fmt;

use zbus::{Connection, OwnedObjectPath, OwnedVariant, Variant};

use crate::domain::time::Timestamp;

use super::error::BusError;
use super::link::UnitChange;
use super::{CALL_LIMIT, ask};

/// How one unit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitStatus {
    /// Its name, with the suffix.
    pub unit: String,
    /// Whether its definition could be read.
    pub load_state: LoadState,
    /// Why it could not.
    pub load_problem: Option<String>,
    /// Whether it is up.
    pub active_state: ActiveState,
    /// The state in its kind's own words: `running`, `exited`, `auto-restart`.
    pub sub_state: String,
    /// Since when it has been up, or down.
    pub since: Option<Timestamp>,
    /// Whether a job is under way for it.
    pub job_pending: bool,
    /// How the service's last run ended, or `Success` while it runs. `None` if it is no service.
    pub result: Option<ServiceResult>,
    /// The exit status of the last main process, or the signal that ended it. `None` if it is no service, and while
    /// its main process has not ended: systemd shows 0 then.
    pub exec_main_status: Option<i32>,
    /// The current or last run.
    pub invocation_id: Option<InvocationId>,
    /// Automatic restarts since it was started by hand.
    pub n_restarts: u32,
    /// Whether its file has changed since it was read.
    pub need_reload: bool,
    /// Its cgroup below the root of the hierarchy, while it has one.
    pub control_group: Option<String>,
}

/// One row of a list of units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSummary {
    /// Its name, with the suffix.
    pub unit: String,
    /// Whether its definition could be read.
    pub load_state: LoadState,
    /// Whether it is up.
    pub active_state: ActiveState,
    /// The state in its kind's own words.
    pub sub_state: String,
    /// Whether it waits to be started.
    pub start_pending: bool,
}

pub(super) type ListRow =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

impl UnitSummary {
    pub(super) fn from_row(row: ListRow) -> Self {
        let (unit, _description, load, active, sub_state, _following, _path, _job, job, _job_path) = row;
        Self {
            start_pending: job == "start",
            unit,
            load_state: LoadState::parse(&load),
            active_state: ActiveState::parse(&active),
            sub_state,
        }
    }
}

/// How a unit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// In systemd's terms.
    pub result: ServiceResult,
    /// The exit status, or the signal that ended it.
    pub exit_status: i32,
    /// Whether the kernel killed it for want of memory.
    pub oom_killed: bool,
    /// The run, by which the journal finds what it printed.
    pub invocation: Option<InvocationId>,
}

impl Ended {
    /// `None` while it has not. A transient unit of ours stays `active (exited)` after a success.
    pub(super) fn of(status: &UnitStatus) -> Option<Self> {
        let down = matches!(status.active_state, ActiveState::Inactive | ActiveState::Failed);
        let exited = status.active_state == ActiveState::Active && status.sub_state == "exited";
        if status.job_pending || !(down || exited) {
            return None;
        }
        let result = status.result.clone().unwrap_or(ServiceResult::Success);
        Some(Self {
            oom_killed: result == ServiceResult::OomKill,
            exit_status: status.exec_main_status.unwrap_or(0),
            invocation: status.invocation_id.clone(),
            result,
        })
    }
}

/// One run of a unit, as the journal names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InvocationId(String);

impl InvocationId {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text: String = bytes.iter().flat_map(|&byte| hex(byte)).collect();
        (bytes.len() == 16).then_some(Self(text))
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a unit's definition could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadState {
    /// It could.
    Loaded,
    /// There is no such file; for a Quadlet, its generator may have refused it.
    NotFound,
    /// It is masked.
    Masked,
    /// It is there and cannot be used.
    Bad,
}

impl LoadState {
    fn parse(text: &str) -> Self {
        match text {
            "loaded" | "merged" | "stub" => Self::Loaded,
            "not-found" => Self::NotFound,
            "masked" => Self::Masked,
            _ => Self::Bad,
        }
    }
}

/// Whether a unit is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActiveState {
    /// Up.
    Active,
    /// Up, and reading its configuration.
    Reloading,
    /// Down.
    Inactive,
    /// Down, because it failed.
    Failed,
    /// On its way up; also while it waits for its next automatic restart.
    Activating,
    /// On its way down.
    Deactivating,
    /// Something a newer systemd says.
    Other,
}

impl ActiveState {
    /// systemd's own word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Other => "unknown",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "active" => Self::Active,
            "reloading" | "refreshing" => Self::Reloading,
            "inactive" => Self::Inactive,
            "failed" => Self::Failed,
            "activating" => Self::Activating,
            "deactivating" => Self::Deactivating,
            _ => Self::Other,
        }
    }
}

/// How a service's run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceResult {
    /// Well, or not yet.
    Success,
    /// The process said that it failed.
    ExitCode,
    /// A signal ended it.
    Signal,
    /// A signal ended it, and it left a core dump.
    CoreDump,
    /// Its time was over.
    Timeout,
    /// It did not say in time that it lives.
    Watchdog,
    /// It failed too often in a row.
    StartLimit,
    /// The kernel killed it for want of memory.
    OomKill,
    /// Something it needs of the system could not be had.
    Resources,
    /// It ended without saying that it is ready.
    Protocol,
    /// Something a newer systemd says.
    Other(String),
}

impl ServiceResult {
    pub(in crate::host) fn parse(text: &str) -> Self {
        match text {
            "success" => Self::Success,
            "exit-code" => Self::ExitCode,
            "signal" => Self::Signal,
            "core-dump" => Self::CoreDump,
            "timeout" => Self::Timeout,
            "watchdog" => Self::Watchdog,
            "start-limit-hit" => Self::StartLimit,
            "oom-kill" => Self::OomKill,
            "resources" => Self::Resources,
            "protocol" => Self::Protocol,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for ServiceResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "it ended well",
            Self::ExitCode => "its process failed",
            Self::Signal => "a signal ended it",
            Self::CoreDump => "it crashed",
            Self::Timeout => "its time was over",
            Self::Watchdog => "it stopped giving signs of life",
            Self::StartLimit => "it failed too often in a row",
            Self::OomKill => "it used more memory than it may",
            Self::Resources => "something it needs of the system could not be had",
            Self::Protocol => "it ended before it was ready",
            Self::Other(word) => word,
        })
    }
}

/// Reads one unit; `None` when there is none.
pub(super) async fn read(connection: &Connection, unit: &str) -> Result<Option<UnitStatus>, BusError> {
    let path = object_path(unit);
    let generic = properties(connection, &path, "org.freedesktop.systemd1.Unit").await?;
    let load_state = LoadState::parse(&generic.required("LoadState")?);
    let active_state = ActiveState::parse(&generic.required("ActiveState")?);
    if load_state == LoadState::NotFound && active_state == ActiveState::Inactive {
        return Ok(None);
    }
    let is_service = unit.rsplit_once('.').is_some_and(|(_, kind)| kind == "service");
    let service = if is_service {
        properties(connection, &path, "org.freedesktop.systemd1.Service").await?
    } else {
        Properties::default()
    };
    let (_, problem): (String, String) = generic.get("LoadError").unwrap_or_default();
    Ok(Some(UnitStatus {
        unit: unit.to_owned(),
        load_state,
        load_problem: Some(problem).filter(|text| !text.is_empty()),
        active_state,
        sub_state: generic.required("SubState")?,
        since: since(&generic, active_state),
        job_pending: job_pending(&generic),
        result: service.get::<String>("Result").map(|text| ServiceResult::parse(&text)),
        exec_main_status: service
            .get("ExecMainStatus")
            .filter(|_| service.get::<i32>("ExecMainCode").is_some_and(|code| code != 0)),
        invocation_id: generic.get::<Vec<u8>>("InvocationID").and_then(|id| InvocationId::from_bytes(&id)),
        n_restarts: service.get("NRestarts").unwrap_or(0),
        need_reload: generic.get("NeedDaemonReload").unwrap_or(false),
        control_group: service.get::<String>("ControlGroup").filter(|text| !text.is_empty()),
    }))
}

/// When a timer elapses next.
pub(super) async fn next_elapse(connection: &Connection, timer: &str) -> Result<Option<Timestamp>, BusError> {
    let path = object_path(timer);
    let timer = match properties(connection, &path, "org.freedesktop.systemd1.Timer").await {
        Err(error) if error.is_no_such_unit() => return Ok(None),
        timer => timer?,
    };
    let microseconds: Option<u64> = timer.get("NextElapseUSecRealtime");
    // The largest number means never.
    let known = microseconds.filter(|microseconds| *microseconds > 0 && *microseconds < u64::MAX);
    Ok(known.and_then(|microseconds| i64::try_from(microseconds / 1000).ok()).map(Timestamp))
}

/// What a signal of changed properties says about a unit's state, if it says anything.
pub(super) fn change(path: &str, changed: HashMap<String, OwnedVariant>) -> Option<UnitChange> {
    let properties = Properties(changed);
    Some(UnitChange {
        unit: unit_name(path)?,
        active_state: ActiveState::parse(&properties.get::<String>("ActiveState")?),
        sub_state: properties.get("SubState").unwrap_or_default(),
        job_pending: job_pending(&properties),
    })
}

fn job_pending(properties: &Properties) -> bool {
    properties.get::<(u32, OwnedObjectPath)>("Job").is_some_and(|(id, _)| id != 0)
}

/// The moment systemctl shows: of coming up for what is up, of going down for what is down.
fn since(properties: &Properties, active_state: ActiveState) -> Option<Timestamp> {
    let key = match active_state {
        ActiveState::Active | ActiveState::Reloading => "ActiveEnterTimestamp",
        ActiveState::Inactive | ActiveState::Failed => "InactiveEnterTimestamp",
        ActiveState::Activating => "InactiveExitTimestamp",
        ActiveState::Deactivating => "ActiveExitTimestamp",
        ActiveState::Other => "StateChangeTimestamp",
    };
    let microseconds: u64 = properties.get(key)?;
    (microseconds > 0).then(|| Timestamp(i64::try_from(microseconds / 1000).unwrap_or(i64::MAX)))
}

async fn properties(
    connection: &Connection,
    path: &str,
    interface: &'static str,
) -> Result<Properties, BusError> {
    let call = connection.call_method(
        Some("org.freedesktop.systemd1"),
        path,
        Some("org.freedesktop.DBus.Properties"),
        "GetAll",
        &interface,
    );
    let reply = ask("GetAll", CALL_LIMIT, call).await?;
    let read = reply.body().deserialize();
    read.map(Properties).map_err(|error| BusError::Unexpected { call: "GetAll", cause: error.to_string() })
}

#[derive(Default)]
struct Properties(HashMap<String, OwnedVariant>);

impl Properties {
    /// A property as a value; `None` if it is not there or of another type.
    fn get<T>(&self, key: &str) -> Option<T>
    where
        T: TryFrom<Variant<'static>>,
    {
        let value = self.0.get(key)?.try_clone().ok()?;
        T::try_from(Variant::from(value)).ok()
    }

    fn required(&self, key: &'static str) -> Result<String, BusError> {
        let missing = || BusError::Unexpected { call: "GetAll", cause: format!("there is no {key}") };
        self.get(key).ok_or_else(missing)
    }
}

const UNIT_PATH: &str = "/org/freedesktop/systemd1/unit/";

/// A unit's object on the bus: what is not a letter or digit becomes `_xx`, and a leading digit too.
/// systemd loads a unit whose object is asked for.
fn object_path(unit: &str) -> String {
    let mut path = UNIT_PATH.to_owned();
    for (index, byte) in unit.bytes().enumerate() {
        let plain = byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && index > 0);
        if plain {
            path.push(char::from(byte));
        } else {
            path.push('_');
            path.extend(hex(byte));
        }
    }
    path
}

fn hex(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 0xf].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0'))
}

fn unit_name(path: &str) -> Option<String> {
    let mut rest = path.strip_prefix(UNIT_PATH)?.bytes();
    let mut name = Vec::new();
    while let Some(byte) = rest.next() {
        if byte == b'_' {
            let digits = [rest.next()?, rest.next()?];
            name.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            name.push(byte);
        }
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_their_objects() {
        for (unit, path) in [
            ("dbus.service", "dbus_2eservice"),
            ("rivetr-app-blog-7.service", "rivetr_2dapp_2dblog_2d7_2eservice"),
            ("rivetr-my\\x2dproject.slice", "rivetr_2dmy_5cx2dproject_2eslice"),
            ("1st@a_b.service", "_31st_40a_5fb_2eservice"),
        ] {
            assert_eq!(object_path(unit), format!("{UNIT_PATH}{path}"));
            assert_eq!(unit_name(&object_path(unit)).as_deref(), Some(unit));
        }
        for odd in ["", "/org/freedesktop/systemd1/job/7", "/org/freedesktop/systemd1/unit/a_2", "_zz"] {
            assert_eq!(unit_name(odd), None, "{odd}");
        }
    }

    #[test]
    fn runs_have_16_bytes() {
        assert_eq!(InvocationId::from_bytes(&[0xab; 16]).unwrap().as_str(), "ab".repeat(16));
        assert_eq!(InvocationId::from_bytes(&[]), None);
    }
}
