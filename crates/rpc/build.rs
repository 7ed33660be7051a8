//! Generates the service stubs over the messages of `wire`, and the descriptors of the Ledger API v2 for reflection.

use prost::Message as _;
use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

fn proto_files(dir: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            proto_files(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

/// The folder with the .proto files of the `canton-proto` crate, which keeps its descriptors to itself.
fn canton_protos() -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &env::var("TARGET")?])
        .current_dir(env::var("CARGO_MANIFEST_DIR")?)
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("no packages")?;
    let package = packages.iter().find(|p| p["name"] == "canton-proto").ok_or("canton-proto is not a dependency")?;
    let manifest = Path::new(package["manifest_path"].as_str().ok_or("no manifest path")?);
    Ok(manifest.parent().ok_or("manifest path has no folder")?.join("proto"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../wire/proto");
    println!("cargo::rerun-if-changed={}", root.display());

    let mut files = Vec::new();
    proto_files(&root, &mut files)?;
    let set = protox::compile(&files, [&root])?;
    let mut config = tonic_prost_build::configure().include_file("mod.rs");
    for package in set.file.iter().map(|f| f.package()).filter(|p| p.starts_with("concordat.")) {
        config = config.extern_path(format!(".{package}"), format!("::wire::{}", package.replace('.', "::")));
    }
    config.compile_fds(set)?;

    let root = canton_protos()?;
    let mut files = Vec::new();
    proto_files(&root, &mut files)?;
    fs::write(out.join("ledger_api_v2.bin"), protox::compile(&files, [&root])?.encode_to_vec())?;
    Ok(())
}
