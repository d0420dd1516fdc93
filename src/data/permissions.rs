//! What an investigator may do, as the platform keeps it: a bit for each thing.

use std::fmt;
use std::str::FromStr;

use crate::chain::excerpt;
use crate::config::nearest::hint;

/// The names of the permissions, in the order of their bits.
const NAMES: [&str; 19] = [
    "search",
    "action",
    "action_create",
    "command",
    "agent",
    "dashboard",
    "loader",
    "loader_status",
    "loader_expect",
    "loader_key",
    "loader_new",
    "manifest",
    "manifest_sign",
    "manifest_new",
    "manifest_status",
    "manifest_loaders",
    "investigator",
    "investigator_create",
    "investigator_update",
];
/// The sets that the platform's own console gives, by the words for them here.
const SETS: [(&str, i64); 5] = [
    ("default", 0x3f),
    ("loaders", 0x7c0),
    ("manifests", 0xf800),
    ("admin", 0x70000),
    ("all", 0x7_ffff),
];
/// The bits of all permissions.
const ALL: i64 = (1 << NAMES.len()) - 1;
/// The word for no permission.
const NONE: &str = "none";
/// How much of an unknown name an error shows.
const SHOWN_BYTES_MAX: usize = 40;

/// Something that the API does only for those who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    Search,
    Action,
    ActionCreate,
    Command,
    Agent,
    Dashboard,
    Investigator,
    InvestigatorCreate,
    InvestigatorUpdate,
}

/// What an investigator may do: a bit for each thing, as the platform keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Permissions(i64);

/// A name that is no permission's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{name}\" is no permission: {}", hint(name, words()))]
pub(crate) struct PermissionError {
    name: String,
}

/// Returns every word that a list of permissions may have.
fn words() -> impl Iterator<Item = &'static str> + Clone {
    NAMES.into_iter().chain(SETS.into_iter().map(|(name, _)| name)).chain([NONE])
}

impl Permissions {
    /// All that a runner needs, which is the platform's default set.
    pub(crate) const RUNNER: Permissions = Permissions(63);

    /// Returns the permissions that have these bits.
    pub(crate) const fn new(bits: i64) -> Permissions {
        Permissions(bits)
    }

    pub(crate) const fn bits(self) -> i64 {
        self.0
    }

    /// Returns these permissions and `others`.
    pub(crate) const fn with(self, others: Permissions) -> Permissions {
        Permissions(self.0 | others.0)
    }

    /// Returns these permissions but for `others`.
    pub(crate) const fn without(self, others: Permissions) -> Permissions {
        Permissions(self.0 & !others.0)
    }

    /// Returns the permissions that are among these and among `others`.
    pub(crate) const fn common(self, others: Permissions) -> Permissions {
        Permissions(self.0 & others.0)
    }

    /// Returns whether there are bits without a name; a negative number has them.
    pub(crate) const fn has_unknown(self) -> bool {
        self.0 & !ALL != 0
    }

    /// Tells whether this is permitted.
    pub(crate) fn allow(self, permission: Permission) -> bool {
        let bit = match permission {
            Permission::Search => 1,
            Permission::Action => 2,
            Permission::ActionCreate => 4,
            Permission::Command => 8,
            Permission::Agent => 16,
            Permission::Dashboard => 32,
            Permission::Investigator => 65_536,
            Permission::InvestigatorCreate => 131_072,
            Permission::InvestigatorUpdate => 262_144,
        };
        self.0 & bit != 0
    }

    /// Returns the names of what is permitted; bits without a name are left out.
    pub(crate) fn names(self) -> Vec<&'static str> {
        let has = |place: &usize| {
            let bit = u32::try_from(*place).ok().and_then(|place| 1_i64.checked_shl(place));
            bit.is_some_and(|bit| self.0 & bit != 0)
        };
        NAMES.iter().enumerate().filter(|(place, _)| has(place)).map(|(_, name)| *name).collect()
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names().as_slice() {
            [] => f.write_str("none"),
            names => f.write_str(&names.join(", ")),
        }
    }
}

impl FromStr for Permissions {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Permissions, PermissionError> {
        let mut bits = 0;
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let set = SETS.iter().find(|(set, _)| *set == name).map(|(_, bits)| *bits);
            let single = || {
                let place = NAMES.iter().position(|known| *known == name)?;
                1_i64.checked_shl(u32::try_from(place).ok()?)
            };
            // `none` says in so many words what an empty list would.
            let none = (name == NONE).then_some(0);
            bits |= set.or_else(single).or(none).ok_or_else(|| PermissionError {
                name: excerpt(name, SHOWN_BYTES_MAX).into_owned(),
            })?;
        }
        Ok(Permissions(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_added_and_removed_by_bits() {
        let of = |text: &str| text.parse::<Permissions>().unwrap();
        assert_eq!(of("search,agent").with(of("agent,command")), of("search,command,agent"));
        assert_eq!(of("default").without(of("default")), of("none"));
        assert_eq!(Permissions::new(-1).without(of("all")).names(), [""; 0]);
        assert!(Permissions::new(-1).has_unknown() && Permissions::new(1 << 19).has_unknown());
        assert!(!of("all").has_unknown());
    }

    #[test]
    fn names_stand_for_bits_and_bits_for_names() {
        for (text, bits) in [
            ("default", 63),
            ("search,action,action_create,command,agent,dashboard", 63),
            ("search, dashboard", 33),
            ("loader_new", 1024),
            ("manifest_loaders", 32_768),
            ("loaders,manifests", 0xffc0),
            ("admin", 65_536 + 131_072 + 262_144),
            ("all", (1 << 19) - 1),
            ("none", 0),
            ("", 0),
        ] {
            let permissions: Permissions = text.parse().unwrap();
            assert_eq!(permissions.bits(), bits, "{text}");
            assert_eq!(permissions.to_string().parse(), Ok(permissions), "{text}");
        }
        assert_eq!(Permissions::RUNNER, "default".parse().unwrap());
        let error = "search,serach".parse::<Permissions>().unwrap_err().to_string();
        assert_eq!(error, "\"serach\" is no permission: did you mean search?");
        for (name, near) in [
            ("investigator_creat", "investigator_create"),
            ("action-create", "action_create"),
            ("comand", "command"),
            ("defaults", "default"),
        ] {
            let error = name.parse::<Permissions>().unwrap_err().to_string();
            assert!(error.ends_with(&format!("did you mean {near}?")), "{error}");
        }
        let error = "xyzzy".parse::<Permissions>().unwrap_err().to_string();
        assert!(error.contains("known: search, ") && error.ends_with("all, none"), "{error}");
    }
}
