//! What a report of a bug has of this rivetr: what is wanted, what is there, and units without values that may be secret.

use super::{Engine, EngineError, InventoryUnit, UnitFile};
use crate::domain::app::Wish;
use crate::domain::database;

/// Keys of unit files whose values name things and are never secret. All others are hidden: who writes a unit may put a
/// password into anything else.
const SHOWN: [&str; 62] = [
    "AddCapability",
    "After",
    "AutoUpdate",
    "Before",
    "BindsTo",
    "CPUQuota",
    "CPUWeight",
    "CgroupsMode",
    "ContainerName",
    "DefaultDependencies",
    "Delegate",
    "Driver",
    "DropCapability",
    "Gateway",
    "HealthInterval",
    "HealthRetries",
    "HealthStartPeriod",
    "HealthTimeout",
    "IPv6",
    "Image",
    "Internal",
    "KillMode",
    "MemoryHigh",
    "MemoryMax",
    "MemorySwapMax",
    "Network",
    "NetworkAlias",
    "NetworkName",
    "NoNewPrivileges",
    "Notify",
    "OOMPolicy",
    "OnCalendar",
    "PartOf",
    "Persistent",
    "PidsLimit",
    "PublishPort",
    "Pull",
    "RandomizedDelaySec",
    "ReadOnly",
    "RemainAfterExit",
    "Requires",
    "Restart",
    "RestartSec",
    "RestartSteps",
    "RunInit",
    "Secret",
    "ServiceName",
    "ShmSize",
    "Slice",
    "StartLimitBurst",
    "StartLimitIntervalSec",
    "StopSignal",
    "StopTimeout",
    "Subnet",
    "TasksMax",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "Type",
    "Unit",
    "VolumeName",
    "WantedBy",
    "Wants",
];
/// Keys whose values are pairs, of which the name is shown.
const PAIRS: [&str; 3] = ["Annotation", "Environment", "Label"];
/// What stands in place of what is hidden.
const HIDDEN: &str = "***";

/// What rivetr knows of itself and its host, without secrets.
#[derive(Debug, Clone)]
pub struct Report {
    /// Kind and name of everything that is wanted, and how.
    pub wanted: Vec<(String, String)>,
    /// Every unit; the texts of its files hide what may be secret.
    pub units: Vec<InventoryUnit>,
    /// What somebody changed by hand.
    pub drift: Vec<String>,
}

impl Engine {
    /// Gathers what a report of a bug needs.
    pub async fn report(&self) -> Result<Report, EngineError> {
        let mut units = self.inventory().await?;
        for unit in &mut units {
            if let Some(UnitFile { text, .. }) = &mut unit.file {
                *text = masked(text);
            }
            for (_, text) in &mut unit.drop_ins {
                *text = masked(text);
            }
        }
        let drift = self.drift(None, true).await?;
        let drift = drift.into_iter().map(|one| {
            let decided = one.kept.map_or_else(String::new, |kept| format!(", {}", kept.as_str()));
            format!("{}: {}{decided}", one.file, one.change.as_str())
        });
        Ok(Report { wanted: self.wanted().await?, units, drift: drift.collect() })
    }

    async fn wanted(&self) -> Result<Vec<(String, String)>, EngineError> {
        let mut wanted = Vec::new();
        for app in self.reader().apps().await? {
            let release =
                app.release.map_or_else(|| "never live".to_owned(), |number| format!("release {number}"));
            let wish = match app.wish {
                Wish::Run => "runs",
                Wish::Start => "is to start",
                Wish::Stop => "is stopped",
            };
            let deleting = if app.deleting { ", being deleted" } else { "" };
            let replicas = app.settings.replicas.get();
            wanted.push((
                format!("app {}", app.slug),
                format!("{wish}, {release}, {replicas} containers{deleting}"),
            ));
        }
        for one in self.reader().unfinished().await? {
            wanted.push((format!("deployment {} of {}", one.number, one.app_slug), one.state.to_string()));
        }
        let databases = self.reader().every_database().await?.into_iter();
        for database in databases.filter(|database| database.deleted.is_none()) {
            let wish = match database.wish {
                database::Wish::Run => "runs",
                database::Wish::Stop => "is stopped",
            };
            wanted
                .push((format!("database {}", database.slug), format!("{wish}, {}", database.kind.title())));
        }
        for service in self.reader().services().await? {
            let wish = if service.stopped { "is stopped" } else { "runs" };
            wanted.push((format!("service {}", service.slug), wish.to_owned()));
        }
        Ok(wanted)
    }
}

/// A text of a unit in which only names are left: whatever could hold a secret is hidden.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut goes_on = false;
    for line in text.lines() {
        let joined = std::mem::replace(&mut goes_on, line.ends_with('\\'));
        let shown = match line.trim() {
            "" => String::new(),
            _ if joined => HIDDEN.to_owned(),
            section if section.starts_with('[') && section.ends_with(']') => section.to_owned(),
            remark if remark.starts_with(['#', ';']) => format!("# {HIDDEN}"),
            line => line
                .split_once('=')
                .map_or_else(|| HIDDEN.to_owned(), |(key, value)| entry(key.trim(), value)),
        };
        masked.push_str(&shown);
        masked.push('\n');
    }
    masked
}

fn entry(key: &str, value: &str) -> String {
    if !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return HIDDEN.to_owned();
    }
    if PAIRS.contains(&key)
        && let Some((name, _)) = value.trim().trim_start_matches('"').split_once('=')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/".contains(c))
    {
        return format!("{key}={name}={HIDDEN}");
    }
    let shown = SHOWN.contains(&key) && !value.ends_with('\\');
    if shown || value.is_empty() { format!("{key}={value}") } else { format!("{key}={HIDDEN}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_left_of_a_unit() {
        let canary = "canary";
        let text = format!(
            "# {canary}\n[Container]\nImage=localhost/rivetr/blog:7\nEnvironment=\"TOKEN={canary}\"\n\
             Environment={canary}\nExec=serve --password {canary}\nHealthCmd=curl {canary}\nLabel=a.b={canary}\n\
             PodmanArgs=--env=A={canary} \\\n  {canary}=x\nSecret=one,type=env,target=TOKEN\n{canary}\n\
             {canary} x={canary}\n;{canary}\nVolume=\nSlice=a.slice\\\n{canary}\n\n[Service]\nRestart=always\n"
        );
        let shown = masked(&text);
        assert!(!shown.contains(canary), "{shown}");
        for kept in [
            "[Container]\nImage=localhost/rivetr/blog:7\nEnvironment=TOKEN=***\n",
            "Exec=***\n",
            "Label=a.b=***\n",
            "Secret=one,type=env,target=TOKEN\n",
            "Volume=\n",
            "[Service]\nRestart=always\n",
        ] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
        let mut sorted = SHOWN.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, SHOWN);
    }
}
