//! The permissions of an investigator: one bit for each, as in the original platform.

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
/// The sets of permissions that the original's console knows, by the names used here.
const SETS: [(&str, i64); 5] = [
    ("default", 0x3f),
    ("loaders", 0x7c0),
    ("manifests", 0xf800),
    ("admin", 0x70000),
    ("all", 0x7_ffff),
];
/// All bits that have a name.
const ALL: i64 = (1 << NAMES.len()) - 1;
/// The word for no permission.
const NONE: &str = "none";
/// Maximum length of an unknown name in an error, in bytes.
const SHOWN_BYTES_MAX: usize = 40;

/// A permission that this platform's API checks.
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

/// The permissions of an investigator, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Permissions(i64);

/// An unknown name in a list of permissions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{name}\" is not a permission: {}", hint(name, words()))]
pub(crate) struct PermissionError {
    name: String,
}

/// Returns every word that is allowed in a list of permissions.
fn words() -> impl Iterator<Item = &'static str> + Clone {
    NAMES.into_iter().chain(SETS.into_iter().map(|(name, _)| name)).chain([NONE])
}

impl Permissions {
    /// The permissions that a runner needs, which are also the set `default`.
    pub(crate) const RUNNER: Permissions = Permissions(63);

    pub(crate) const fn new(bits: i64) -> Permissions {
        Permissions(bits)
    }

    pub(crate) const fn bits(self) -> i64 {
        self.0
    }

    /// Returns the union of these permissions and `others`.
    pub(crate) const fn with(self, others: Permissions) -> Permissions {
        Permissions(self.0 | others.0)
    }

    /// Returns these permissions without `others`.
    pub(crate) const fn without(self, others: Permissions) -> Permissions {
        Permissions(self.0 & !others.0)
    }

    /// Returns the permissions that both sets contain.
    pub(crate) const fn common(self, others: Permissions) -> Permissions {
        Permissions(self.0 & others.0)
    }

    /// Returns whether bits without a name are set; that includes the sign of a negative number.
    pub(crate) const fn has_unknown(self) -> bool {
        self.0 & !ALL != 0
    }

    pub(crate) fn allows(self, permission: Permission) -> bool {
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

    /// Returns the names of the permissions; bits without a name are left out.
    pub(crate) fn names(self) -> Vec<&'static str> {
        let has = |bit: &usize| {
            let mask = u32::try_from(*bit).ok().and_then(|bit| 1_i64.checked_shl(bit));
            mask.is_some_and(|mask| self.0 & mask != 0)
        };
        NAMES.iter().enumerate().filter(|(bit, _)| has(bit)).map(|(_, name)| *name).collect()
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
                let bit = NAMES.iter().position(|known| *known == name)?;
                1_i64.checked_shl(u32::try_from(bit).ok()?)
            };
            // An explicit name for the empty list.
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
    fn permissions_are_combined_by_bits() {
        let of = |text: &str| text.parse::<Permissions>().unwrap();
        assert_eq!(of("search,agent").with(of("agent,command")), of("search,command,agent"));
        assert_eq!(of("default").without(of("default")), of("none"));
        assert_eq!(Permissions::new(-1).without(of("all")).names(), [""; 0]);
        assert!(Permissions::new(-1).has_unknown() && Permissions::new(1 << 19).has_unknown());
        assert!(!of("all").has_unknown());
    }

    #[test]
    fn names_and_bits_convert_both_ways() {
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
        assert_eq!(error, "\"serach\" is not a permission: did you mean search?");
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
