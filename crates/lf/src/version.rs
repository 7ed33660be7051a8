//! Language versions.

use crate::LfError;
use std::fmt;

/// A version of the language that this software reads and runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LanguageVersion {
    /// The first of the second major version: nested expressions.
    V2_1,
    /// Interned kinds and expressions, table of imports.
    V2_2,
}

impl LanguageVersion {
    /// The version that an archive states: `major` is the number of the field that holds the package.
    /// Everything else is refused by name.
    pub(crate) fn supported(major: u32, minor: &str, patch: u32) -> Result<Self, LfError> {
        let unsupported = |major: u32, why| {
            let minor: String = minor.chars().take(20).collect();
            Err(LfError::Version(format!("{major}.{minor}"), why))
        };
        match (major, minor) {
            (4, _) if patch != 0 => unsupported(2, "the package has a patch version that is unknown"),
            (4, "1") => Ok(Self::V2_1),
            (4, "2") => Ok(Self::V2_2),
            (4, "3") => unsupported(2, "contract keys of LF 2.3 are not built yet"),
            (4, "dev") => unsupported(2, "development versions are for no production ledger; compile for 2.1 or 2.2"),
            (4, _) => unsupported(2, "versions 2.1 and 2.2 are read; compile for one of them"),
            (2, "14" | "15" | "17") => {
                unsupported(1, "the first major version is not built yet; compile for 2.1 or 2.2")
            }
            (2, _) => unsupported(1, "it is too old; compile for 2.1 or 2.2"),
            _ => unsupported(major, "the major version is unknown"),
        }
    }

    /// Whether kinds, types and expressions are interned, applications are single, and packages are imported by table.
    #[must_use]
    pub fn is_flat(self) -> bool {
        self >= Self::V2_2
    }

    /// The minor version as archives state it.
    #[must_use]
    pub fn minor(self) -> &'static str {
        match self {
            Self::V2_1 => "1",
            Self::V2_2 => "2",
        }
    }
}

impl fmt::Display for LanguageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "2.{}", self.minor())
    }
}
