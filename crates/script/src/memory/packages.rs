//! Packages: which there are, which may be used, which version counts.

use super::MemoryLedger;
use crate::{LedgerError, PackageVersionName};
use base::{PackageId, PackageName};
use std::collections::{BTreeMap, BTreeSet};

impl MemoryLedger {
    /// Names and versions, once each.
    pub(super) fn all_packages(&self, only_vetted: bool) -> Vec<PackageVersionName> {
        let all = self.engine.all_packages().into_iter();
        let all = all.filter(|package| !only_vetted || !self.unvetted.contains(package.id()));
        let names: BTreeSet<_> =
            all.map(|package| (package.metadata().name.clone(), package.metadata().version.clone())).collect();
        names.into_iter().collect()
    }

    pub(super) fn change_vetting(&mut self, packages: &[PackageVersionName], vetted: bool) -> Result<(), LedgerError> {
        for (name, version) in packages {
            let ids = self.engine.packages_named(name).into_iter().filter(|(known, _)| known == version);
            let ids: Vec<PackageId> = ids.map(|(_, id)| id).collect();
            if ids.is_empty() {
                return Err(LedgerError::UnknownPackage(name.clone(), version.clone()));
            }
            for id in ids {
                if vetted {
                    self.unvetted.remove(&id);
                } else {
                    self.unvetted.insert(id);
                }
            }
        }
        Ok(())
    }

    /// For each name the version that counts: the preferred one, or the highest vetted one.
    pub(super) fn resolution(&self, preferences: &[PackageId]) -> BTreeMap<PackageName, PackageId> {
        let mut resolution = BTreeMap::new();
        for package in self.engine.all_packages() {
            let name = &package.metadata().name;
            if !resolution.contains_key(name) {
                let mut versions = self.engine.packages_named(name);
                versions.retain(|(_, id)| !self.unvetted.contains(id));
                let preferred = versions.iter().find(|(_, id)| preferences.contains(id));
                if let Some((_, id)) = preferred.or(versions.last()) {
                    resolution.insert(name.clone(), id.clone());
                }
            }
        }
        resolution
    }
}
