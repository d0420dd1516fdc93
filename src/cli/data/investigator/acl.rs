//! `investigator acl`: the access list of agents, their file `/etc/mig/acl.cfg`.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::cli::data::failure::DataFailure;
use crate::cli::data::source::DataSource;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::data::{InvestigatorRow, SCHEDULER};
use crate::exit::Exit;

/// The weight of each signature.
const WEIGHT: u32 = 1;

/// Print the agents' access list for the active investigators
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  mig-data investigator acl --minimumweight 2 > /etc/mig/acl.cfg"
)]
pub(super) struct AclList {
    /// Signatures that an action needs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    minimumweight: u32,
}

/// An access list: the rule for a module, and the default rule for all other modules.
#[derive(Debug, Serialize)]
struct Acl<'a> {
    default: Rule<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agentdestroy: Option<Rule<'a>>,
}

#[derive(Debug, Serialize)]
struct Rule<'a> {
    minimumweight: u32,
    #[serde(serialize_with = "by_name")]
    investigators: Vec<&'a InvestigatorRow>,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    fingerprint: &'a str,
    weight: u32,
}

/// Writes investigators as a map by name. Investigators with the same name are distinguished by
/// their numbers, because JSON keys must be unique.
fn by_name<S: Serializer>(all: &[&InvestigatorRow], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(all.len()))?;
    for one in all {
        let is_single = all.iter().filter(|other| other.name == one.name).count() == 1;
        let name = if is_single { one.name.clone() } else { format!("{} ({})", one.name, one.id) };
        map.serialize_entry(&name, &Entry { fingerprint: &one.fingerprint, weight: WEIGHT })?;
    }
    map.end()
}

impl AclList {
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        let investigators = source.read()?.investigators()?;
        let acl = acl(&investigators, self.minimumweight)?;
        output::json_pretty(&acl)?;
        Ok(Exit::Done)
    }
}

/// Returns the access list: each module requires the signatures of `minimum` investigators. Only
/// the scheduler may run `agentdestroy`, which stops duplicate agents, and it may run nothing else.
fn acl(investigators: &[InvestigatorRow], minimum: u32) -> Result<Acl<'_>, DataFailure> {
    let active = investigators.iter().filter(|one| one.is_active() && !one.fingerprint.is_empty());
    let (scheduler, others): (Vec<_>, Vec<_>) = active.partition(|one| one.name == SCHEDULER);
    if u32::try_from(others.len()).is_ok_and(|active| active < minimum) {
        return Err(DataFailure::Acl { minimum, active: others.len() });
    }
    let rule = |minimumweight, investigators| Rule { minimumweight, investigators };
    let agentdestroy = (!scheduler.is_empty()).then(|| rule(WEIGHT, scheduler));
    Ok(Acl { default: rule(minimum, others), agentdestroy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Id, InvalidColumns, InvestigatorStatus, Permissions};

    fn one(id: i64, name: &str, status: InvestigatorStatus) -> InvestigatorRow {
        let time = "2026-11-22T12:00:00Z".parse().unwrap();
        InvestigatorRow {
            id: Id::new(id),
            name: name.to_owned(),
            fingerprint: format!("F{id}"),
            publickey: Vec::new(),
            status: status.as_str().to_owned(),
            createdat: time,
            lastmodified: time,
            permissions: Permissions::RUNNER,
            invalid: InvalidColumns::default(),
        }
    }

    #[test]
    fn active_investigators_may_run_all_and_the_scheduler_only_agentdestroy() {
        use InvestigatorStatus::{Active, Disabled};
        let all = [
            one(1, "migscheduler", Active),
            one(2, "Bob", Active),
            one(3, "Eve", Disabled),
            one(4, "Ann", Active),
            one(5, "Bob", Active),
        ];
        let text = serde_json::to_value(acl(&all, 2).unwrap()).unwrap();
        assert_eq!(
            text,
            serde_json::json!({
                "default": {"minimumweight": 2, "investigators": {
                    "Bob (2)": {"fingerprint": "F2", "weight": 1},
                    "Ann": {"fingerprint": "F4", "weight": 1},
                    "Bob (5)": {"fingerprint": "F5", "weight": 1},
                }},
                "agentdestroy": {"minimumweight": 1, "investigators": {
                    "migscheduler": {"fingerprint": "F1", "weight": 1},
                }},
            })
        );
        assert!(matches!(acl(&all, 4), Err(DataFailure::Acl { minimum: 4, active: 3 })));
        assert!(acl(&[], 1).is_err());
    }
}
