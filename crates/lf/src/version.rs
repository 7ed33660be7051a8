//! Language versions.

use crate::LfError;
use std::fmt;

/// A version of the language that this software reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LanguageVersion {
    /// Enums; names and texts stand where they are used.
    V1_6,
    /// `Numeric`, `Any`, type representations, tables of strings and names.
    V1_7,
    /// Type synonyms; packages have names and versions.
    V1_8,
    /// Generic comparison and maps, observers of choices, exercise by key, table of types.
    V1_11,
    /// Values on the ledger in their shortest form.
    V1_12,
    /// `BigNumeric`.
    V1_13,
    /// Exceptions.
    V1_14,
    /// Interfaces.
    V1_15,
    /// Upgrading.
    V1_17,
    /// What was to come after 1.17, and never did.
    V1Dev,
    /// The first of the second major version: nested expressions.
    V2_1,
    /// Interned kinds and expressions, table of imports.
    V2_2,
    /// Contract keys that need not be unique.
    V2_3,
    /// What may come, on no production ledger.
    V2Dev,
}

use LanguageVersion as V;

/// The versions with major and minor number as archives state them.
const ALL: &[(V, u32, &str)] = &[
    (V::V1_6, 1, "6"),
    (V::V1_7, 1, "7"),
    (V::V1_8, 1, "8"),
    (V::V1_11, 1, "11"),
    (V::V1_12, 1, "12"),
    (V::V1_13, 1, "13"),
    (V::V1_14, 1, "14"),
    (V::V1_15, 1, "15"),
    (V::V1_17, 1, "17"),
    (V::V1Dev, 1, "dev"),
    (V::V2_1, 2, "1"),
    (V::V2_2, 2, "2"),
    (V::V2_3, 2, "3"),
    (V::V2Dev, 2, "dev"),
];

impl LanguageVersion {
    /// The version that an archive states: `field` is the number of the field that holds the package.
    /// Everything else is refused by name.
    pub(crate) fn supported(field: u32, minor: &str, patch: u32) -> Result<Self, LfError> {
        let major = match field {
            2 => 1,
            4 => 2,
            _ => return Err(LfError::Version(format!("in field {field}"), "the major version is unknown")),
        };
        let shown: String = minor.chars().take(20).collect();
        let unsupported = |why| Err(LfError::Version(format!("{major}.{shown}"), why));
        if patch != 0 {
            return unsupported("the package has a patch version that is unknown");
        }
        if let Some((version, ..)) = ALL.iter().find(|(_, m, n)| (*m, *n) == (major, minor)) {
            return Ok(*version);
        }
        match (major, minor) {
            (1, "" | "0" | "1" | "2" | "3" | "4" | "5") => unsupported("it is too old; compile for 1.15 or newer"),
            (1, "16") => unsupported("its makers declared it broken; compile for 1.17"),
            (1, _) => unsupported("versions 1.6 to 1.15 and 1.17 are read; compile for one of them"),
            _ => unsupported("versions 2.1 to 2.3 are read; compile for one of them"),
        }
    }

    fn entry(self) -> (u32, &'static str) {
        let found = ALL.iter().find(|(version, ..)| *version == self);
        found.map(|(_, major, minor)| (*major, *minor)).expect("every version is in the table")
    }

    /// Whether it is of the first major version: numeric functions take scales as types, keys are unique, arguments
    /// are evaluated from the first to the last.
    #[must_use]
    pub fn is_v1(self) -> bool {
        self < Self::V2_1
    }

    /// Whether it is for development, so that no ledger may take its packages.
    #[must_use]
    pub fn is_dev(self) -> bool {
        matches!(self, Self::V1Dev | Self::V2Dev)
    }

    /// Whether packages of one name are versions of each other, of which the newer can use contracts of the older.
    #[must_use]
    pub fn has_upgrades(self) -> bool {
        self >= Self::V1_17
    }

    /// Whether names stand in tables.
    pub(crate) fn has_tables(self) -> bool {
        self >= Self::V1_7
    }

    /// Whether all types stand in a table.
    pub(crate) fn has_type_table(self) -> bool {
        self >= Self::V1_11
    }

    /// Whether packages state their name and version.
    pub(crate) fn has_metadata(self) -> bool {
        self >= Self::V1_8
    }

    /// Whether kinds, types and expressions are interned, applications are single, and packages are imported by table.
    #[must_use]
    pub fn is_flat(self) -> bool {
        matches!(self, Self::V2_2 | Self::V2_3)
    }

    /// Whether what [`Self::is_flat`] demands may be there.
    pub(crate) fn may_be_flat(self) -> bool {
        self >= Self::V2_2
    }

    /// The minor version as archives state it.
    #[must_use]
    pub fn minor(self) -> &'static str {
        self.entry().1
    }
}

impl fmt::Display for LanguageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.entry();
        write!(f, "{major}.{minor}")
    }
}
