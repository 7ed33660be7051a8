//! Packages that others compiled: all are read, counted and identified, or refused for the right reason.

use crate::{Dar, LfError, assemble_payload, read_dar, read_package, write_dar};
use base::{Coded, PackageName, PackageVersion, codes};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The folder with DARs.
pub(crate) fn dars() -> Option<PathBuf> {
    testkit::test_data().map(|data| data.join("dars"))
}

/// The lines of the inventory, by column.
fn inventory(folder: &Path) -> Vec<BTreeMap<String, String>> {
    let table = fs::read_to_string(folder.join("INVENTORY.tsv")).unwrap();
    let mut lines = table.lines().map(|line| line.split('\t').map(str::to_owned));
    let columns: Vec<String> = lines.next().unwrap().collect();
    lines.map(|line| columns.iter().cloned().zip(line).collect()).collect()
}

/// What the inventory counts in a main package.
fn counts(dar: &Dar) -> [(&'static str, usize); 11] {
    let main = dar.main();
    let modules = main.modules();
    [
        ("packages", dar.packages.len()),
        ("modules", modules.len()),
        ("templates", main.all_templates().count()),
        ("choices", main.all_templates().map(|(_, t)| t.choices.len()).sum()),
        ("keys", main.all_templates().filter(|(_, t)| t.key.is_some()).count()),
        ("interfaces", main.all_interfaces().count()),
        ("iface_choices", main.all_interfaces().map(|(_, i)| i.choices.len()).sum()),
        ("implementations", main.all_templates().map(|(_, t)| t.implements.len()).sum()),
        ("exceptions", main.all_exceptions().count()),
        ("datatypes", main.all_data_types().count()),
        ("values", main.all_values().count()),
    ]
}

/// Why a DAR of the inventory is refused, if it is.
fn refusal(line: &BTreeMap<String, String>) -> Option<&'static str> {
    match &*line["file"] {
        // The inventory takes this one for a released archive, but the name of its module is in the old field.
        "illformed.4b09da37.dar" => Some("pre-release"),
        _ if line["format"].starts_with("pre-release") => Some("pre-release"),
        // The oldest manifests do not even name their packages.
        file if file.starts_with("codegenit") || file.starts_with("daml-stdlib-62") => Some("manifest"),
        file if file.starts_with("Test-1.5") => Some("too old"),
        _ => None,
    }
}

#[test]
fn the_inventory_is_read_and_counted_or_refused() {
    let Some(folder) = dars() else { return };
    let (mut read, mut refused) = (0, 0);
    for line in inventory(&folder) {
        let file = &line["file"];
        let result = read_dar(&fs::read(folder.join(file)).unwrap());
        match (result, refusal(&line)) {
            (Ok(dar), None) => {
                is_counted(&dar, &line);
                read += 1;
            }
            (Err(error), Some(why)) => {
                assert!(error.to_string().contains(why), "{file}: {error}");
                refused += 1;
            }
            (Ok(_), Some(why)) => panic!("{file} is read, but {why}"),
            (Err(error), None) => panic!("{file}: {error}"),
        }
    }
    assert_eq!((read, refused), (58, 5));
}

/// All that the inventory says about a DAR is what was read.
fn is_counted(dar: &Dar, line: &BTreeMap<String, String>) {
    let file = &line["file"];
    let main = dar.main();
    assert_eq!(dar.main.as_str(), line["main_pkg_id"], "{file}");
    if line["name"] == "None" {
        assert_eq!(main.metadata().name.as_str(), format!("unnamed-{}", dar.main), "{file}");
    } else {
        assert_eq!(main.metadata().name.as_str(), line["name"], "{file}");
        assert_eq!(main.metadata().version.as_str(), line["version"], "{file}");
    }
    assert_eq!(main.language_version().to_string(), line["lf_main"], "{file}");
    let mut usable = BTreeSet::new();
    let mut versions: BTreeMap<String, usize> = BTreeMap::new();
    for package in dar.packages.iter().map(|package| &package.package) {
        assert!(package.dependencies().is_subset(&usable), "{file}: {}", package.id());
        usable.insert(package.id().clone());
        *versions.entry(package.language_version().to_string()).or_default() += 1;
    }
    for (version, count) in versions {
        assert!(line["lf_of_all_packages"].contains(&format!("\"{version}\": {count}")), "{file}: {version}");
    }
    for (what, count) in counts(dar) {
        assert_eq!(count.to_string(), line[what], "{what} of {file}");
    }
}

/// The smallest packages of the inventory: every construct of the language, in both versions.
fn small_packages() -> Vec<Vec<u8>> {
    let Some(folder) = dars() else { return Vec::new() };
    let read = |file| {
        let dar = read_dar(&fs::read(folder.join(file)).unwrap()).unwrap();
        dar.packages.last().unwrap().payload.to_vec()
    };
    ["test-1.6.8b4b802c.dar", "test-1.15.3fe225ab.dar", "test-2.1.6ae9a07f.dar", "test-2.2.721b5efa.dar"]
        .map(read)
        .into()
}

#[test]
fn a_reference_is_followed_to_its_definition() {
    for payload in small_packages() {
        let package = read_package(&payload).unwrap();
        let own = package.arena().refs.iter().filter(|r| &r.package == package.id());
        for r in own {
            let defined = package.data_type(&r.module, &r.entity).is_some()
                || package.value(&r.module, &r.entity).is_some()
                || package.synonym(&r.module, &r.entity).is_some();
            assert!(defined, "{r}");
        }
    }
}

#[test]
fn a_damaged_archive_is_named_so() {
    let Some(folder) = dars() else { return };
    let dar = fs::read(folder.join("test-2.1.6ae9a07f.dar")).unwrap();
    let cut = read_dar(&dar[..dar.len() / 2]).unwrap_err();
    assert!(matches!(cut, LfError::Zip(_)), "{cut}");
    assert_eq!(cut.code(), codes::DAR_PARSE_ERROR);
    assert!(matches!(read_package(b"no protobuf"), Err(LfError::Wire { .. })));
    let endless = read_package(&[8, 0].repeat(2_000_001)).unwrap_err();
    assert!(endless.to_string().contains("more than 2000000 fields"), "{endless}");
}

#[test]
fn a_package_that_is_not_there_is_missed() {
    let (name, version) = (PackageName::new("needy").unwrap(), PackageVersion::new("1.0.0").unwrap());
    let needed = assemble_payload("module A { record R = {}; }", &name, &version).unwrap();
    let id = read_package(&needed).unwrap().id().clone();
    let source = format!("module B {{ record R = {{ r: '{id}':A:R }}; }}");
    let main = assemble_payload(&source, &name, &version).unwrap();
    let missed = read_dar(&write_dar(&main, &[]).unwrap()).unwrap_err();
    assert!(matches!(&missed, LfError::MissingPackage { missing, .. } if missing == id.as_str()), "{missed}");
    assert_eq!(missed.code(), codes::DAR_NOT_SELF_CONSISTENT);
    let dar = read_dar(&write_dar(&main, &[&needed]).unwrap()).unwrap();
    let order: Vec<_> = dar.packages.iter().map(|package| package.package.id().clone()).collect();
    assert_eq!(order, [id, dar.main.clone()]);
    assert_eq!(&*dar.packages[0].payload, needed);
    assert_eq!(dar.main().id(), &dar.main);
}

/// A package of which one expression is nested `depth` times in `Some`, in the shape of LF 2.1.
pub(crate) fn nested(depth: usize) -> Vec<u8> {
    fn varint(mut value: usize, out: &mut Vec<u8>) {
        while value >= 0x80 {
            out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        out.push(u8::try_from(value).unwrap());
    }
    fn field(number: usize, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        varint(number << 3 | 2, &mut out);
        varint(content.len(), &mut out);
        out.extend_from_slice(content);
        out
    }
    fn fields(parts: &[(usize, &[u8])]) -> Vec<u8> {
        parts.iter().flat_map(|(number, content)| field(*number, content)).collect()
    }
    let number = |field: u8, value: u8| vec![field << 3, value];
    let ty = number(8, 0);
    // Written backwards, because each level contains the whole of the one below.
    let mut expr: Vec<u8> = number(5, 0);
    expr.reverse();
    for _ in 0..depth {
        for (tag, prefix) in [(2_usize, &fields(&[(1, &ty)])[..]), (26, &[])] {
            let mut head = prefix.to_vec();
            varint(tag << 3 | 2, &mut head);
            varint(expr.len(), &mut head);
            head.reverse();
            expr.extend(head);
        }
    }
    expr.reverse();
    let value = fields(&[(2, &fields(&[(2, &ty)])), (3, &expr)]);
    let module = fields(&[(2, &[8, 1, 16, 1, 24, 1]), (5, &value)]);
    let metadata = [8, 0, 16, 1];
    let package = fields(&[
        (1, &module),
        (2, b"deep"),
        (2, b"1.0.0"),
        (3, &field(1, &[0])),
        (4, &metadata),
        (5, &field(3, &[8, 0])),
    ]);
    fields(&[(3, b"1"), (4, &package)])
}

#[test]
fn nesting_needs_no_stack() {
    let deep = std::thread::Builder::new().stack_size(128 * 1024).spawn(|| {
        let package = read_package(&nested(20_000)).unwrap();
        assert_eq!(package.arena().exprs.len(), 20_001);
    });
    deep.unwrap().join().unwrap();
}

proptest! {
    /// Whatever the bytes, the answer is a package or an error.
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_package(&bytes);
        let _ = read_dar(&bytes);
    }

    #[test]
    fn mutated_packages_never_panic(
        which in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let packages = small_packages();
        prop_assume!(!packages.is_empty());
        let mut payload = packages[which.index(packages.len())].clone();
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        let _ = read_package(&payload);
    }
}
