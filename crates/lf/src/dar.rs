//! DAR files: zip archives of packages with a manifest.

use crate::{LfError, Metadata, Package, walk::parts_first};
use base::{
    PackageId,
    limits::{MAX_DAR_ENTRIES, MAX_DAR_INFLATED_BYTES, MAX_DAR_RATIO},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Cursor, Read as _, Write as _},
    sync::Arc,
};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

/// The entry that names the others.
const MANIFEST: &str = "META-INF/MANIFEST.MF";

/// A DAR.
#[derive(Clone, Debug)]
pub struct Dar {
    /// The package that the DAR is made for.
    pub main: PackageId,
    /// The main package and those that it needs, each once, dependencies before dependents.
    pub packages: Vec<DarPackage>,
    /// The SDK that built it, for display.
    pub sdk_version: Option<String>,
}

/// A package of a DAR.
#[derive(Clone)]
pub struct DarPackage {
    /// The bytes whose hash is the package id; what [`crate::read_package`] reads.
    pub payload: Arc<[u8]>,
    /// What they say.
    pub package: Arc<Package>,
}

/// Reads a DAR: sizes are bounded before anything is inflated, hashes are verified, all packages are of a supported
/// version, and none refers to a package that is not there.
pub fn read_dar(bytes: &[u8]) -> Result<Dar, LfError> {
    let mut entries = Entries::open(bytes)?;
    let manifest = entries.text(MANIFEST)?;
    let manifest = parse_manifest(&manifest);
    let attribute =
        |key: &str| manifest.get(key).map(String::as_str).ok_or_else(|| LfError::Manifest(format!("it has no {key}")));
    if attribute("Format")? != "daml-lf" {
        return Err(LfError::Manifest("its Format is not daml-lf".into()));
    }
    let main_name = attribute("Main-Dalf")?;
    let others = attribute("Dalfs")?.split(',').map(str::trim).filter(|name| *name != main_name);
    let mut packages: Vec<DarPackage> = Vec::new();
    let mut ids = BTreeSet::new();
    for name in std::iter::once(main_name).chain(others) {
        let entry = entries.bytes(name)?;
        let payload = crate::archive::payload(&entry)?;
        let package = crate::read_package(payload)?;
        if ids.insert(package.id().clone()) {
            packages.push(DarPackage { payload: payload.into(), package: Arc::new(package) });
        }
    }
    let main = packages[0].package.id().clone();
    let packages = dependencies_first(&packages)?;
    Ok(Dar { main, packages, sdk_version: manifest.get("Sdk-Version").cloned() })
}

/// The packages in the order in which they can be used. All that they refer to must be there; ids are hashes, so that
/// there are no cycles.
fn dependencies_first(packages: &[DarPackage]) -> Result<Vec<DarPackage>, LfError> {
    let places: BTreeMap<&PackageId, usize> = packages.iter().map(|p| p.package.id()).zip(0..).collect();
    let mut ordered = Vec::new();
    let mut done = vec![false; packages.len()];
    for DarPackage { package, .. } in packages {
        if let Some(missing) = package.dependencies().iter().find(|id| !places.contains_key(id)) {
            return Err(LfError::MissingPackage { package: package.id().to_string(), missing: missing.to_string() });
        }
    }
    for root in 0..packages.len() {
        let needed = |i: usize, part: &mut dyn FnMut(usize)| {
            packages[i].package.dependencies().iter().for_each(|id| part(places[id]));
        };
        for place in parts_first(root, |i| done[i], needed) {
            done[place] = true;
            ordered.push(packages[place].clone());
        }
    }
    Ok(ordered)
}

/// Writes a DAR of archive payloads; equal payloads give equal bytes.
pub fn write_dar(main: &[u8], dependencies: &[&[u8]]) -> Result<Vec<u8>, LfError> {
    let failed = |error: &dyn std::fmt::Display| LfError::Zip(error.to_string());
    let mut names = Vec::new();
    let mut archives = Vec::new();
    for payload in std::iter::once(&main).chain(dependencies) {
        let package = crate::read_package(payload)?;
        let Metadata { name, version, .. } = package.metadata();
        names.push(format!("{name}-{version}-{}.dalf", package.id()));
        archives.push(crate::archive::envelope(package.id(), payload));
    }
    let attributes = [
        ("Manifest-Version", "1.0"),
        ("Created-By", "concordat"),
        ("Format", "daml-lf"),
        ("Main-Dalf", &names[0]),
        ("Dalfs", &names.join(", ")),
        ("Encryption", "non-encrypted"),
    ];
    let manifest: String =
        attributes.into_iter().map(|(key, value)| manifest_line(&format!("{key}: {value}"))).collect();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let entries = names.iter().map(String::as_str).zip(archives.iter().map(Vec::as_slice));
    for (name, content) in std::iter::once((MANIFEST, manifest.as_bytes())).chain(entries) {
        zip.start_file(name, SimpleFileOptions::DEFAULT).map_err(|e| failed(&e))?;
        zip.write_all(content).map_err(|e| failed(&e))?;
    }
    zip.finish().map(Cursor::into_inner).map_err(|e| failed(&e))
}

/// A line of the manifest; Java breaks it after 72 bytes.
fn manifest_line(line: &str) -> String {
    let mut broken = String::new();
    let mut width = 0;
    for c in line.chars() {
        if width + c.len_utf8() > 70 {
            broken.push_str("\r\n ");
            width = 1;
        }
        broken.push(c);
        width += c.len_utf8();
    }
    broken + "\r\n"
}

impl Dar {
    /// The package that the DAR is made for.
    #[must_use]
    pub fn main(&self) -> &Arc<Package> {
        let main = self.packages.iter().find(|package| package.package.id() == &self.main);
        &main.expect("the main package is among the packages").package
    }
}

impl std::fmt::Debug for DarPackage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { payload, package } = self;
        write!(f, "{}, {} bytes, LF {}", package.id(), payload.len(), package.language_version())
    }
}

/// Java's manifest: `Key: value`, continued on lines that begin with a space.
fn parse_manifest(text: &str) -> BTreeMap<String, String> {
    let joined = text.replace("\r\n", "\n").replace("\n ", "");
    joined.lines().filter_map(|line| line.split_once(": ")).map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect()
}

/// The entries of the zip file, with a budget for what they inflate to.
struct Entries<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    budget: u64,
}

impl<'a> Entries<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, LfError> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| LfError::Zip(e.to_string()))?;
        if zip.len() > MAX_DAR_ENTRIES {
            return Err(LfError::ZipBomb(format!("it has {} entries, more than {MAX_DAR_ENTRIES}", zip.len())));
        }
        Ok(Self { zip, budget: MAX_DAR_INFLATED_BYTES })
    }

    /// Inflates an entry, stopping where it exceeds what it announced, its ratio, or the budget of the whole.
    fn bytes(&mut self, name: &str) -> Result<Vec<u8>, LfError> {
        let entry = match self.zip.by_name(name) {
            Ok(entry) => entry,
            Err(zip::result::ZipError::FileNotFound) => return Err(LfError::MissingEntry(name.into())),
            Err(other) => return Err(LfError::Zip(other.to_string())),
        };
        // Small entries may be packed as well as they like.
        let by_ratio = entry.compressed_size().saturating_mul(MAX_DAR_RATIO).max(64 * 1024);
        let limit = self.budget.min(by_ratio);
        let mut content = Vec::new();
        entry.take(limit + 1).read_to_end(&mut content).map_err(|e| LfError::Zip(e.to_string()))?;
        let size = content.len() as u64;
        if size > limit {
            let why = format!("entry {name} inflates to more than {limit} bytes");
            return Err(LfError::ZipBomb(why));
        }
        self.budget -= size;
        Ok(content)
    }

    fn text(&mut self, name: &str) -> Result<String, LfError> {
        String::from_utf8(self.bytes(name)?).map_err(|_| LfError::Manifest("it is not UTF-8".into()))
    }
}
