//! `concordat lf`: what is in DARs.

use crate::cli::{LfCommand, Output};
use base::DottedName;
use comfy_table::{Table, presets};
use lf::{Choice, Dar, LfError, Package};
use serde::Serialize;
use std::{fs, path::Path};

/// The command found something wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LfCommandError {
    #[error("{0} cannot be read: {1}")]
    File(String, std::io::Error),
    #[error(transparent)]
    Dar(#[from] LfError),
    #[error("{0} is no name of a definition; write Module:Name")]
    Name(String),
    #[error("no package of the DAR has a definition {0}")]
    NoDefinition(String),
    #[error("the report cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// What is to be printed.
pub(crate) fn run(command: &LfCommand) -> Result<String, LfCommandError> {
    match command {
        LfCommand::Inspect { file, output } => {
            let inspected = inspect(&read(file)?);
            match output {
                Output::Table => Ok(table(&inspected)),
                Output::Json => Ok(serde_json::to_string_pretty(&inspected)?),
            }
        }
        LfCommand::Show { file, name } => show(&read(file)?, name),
    }
}

fn read(file: &Path) -> Result<Dar, LfCommandError> {
    let bytes = fs::read(file).map_err(|e| LfCommandError::File(file.display().to_string(), e))?;
    Ok(lf::read_dar(&bytes)?)
}

#[derive(Debug, Serialize)]
struct Inspected {
    main: String,
    sdk: Option<String>,
    packages: Vec<InspectedPackage>,
}

#[derive(Debug, Serialize)]
struct InspectedPackage {
    id: String,
    name: String,
    version: String,
    lf: String,
    bytes: usize,
    modules: usize,
    data_types: usize,
    values: usize,
    exceptions: usize,
    templates: Vec<InspectedTemplate>,
    interfaces: Vec<InspectedInterface>,
}

#[derive(Debug, Serialize)]
struct InspectedTemplate {
    name: String,
    key: Option<String>,
    implements: Vec<String>,
    choices: Vec<InspectedChoice>,
}

#[derive(Debug, Serialize)]
struct InspectedInterface {
    name: String,
    view: String,
    methods: Vec<String>,
    choices: Vec<InspectedChoice>,
}

#[derive(Debug, Serialize)]
struct InspectedChoice {
    name: String,
    consuming: bool,
    argument: String,
    returns: String,
}

fn inspect(dar: &Dar) -> Inspected {
    let package = |read: &lf::DarPackage| {
        let package = &*read.package;
        InspectedPackage {
            id: package.id().to_string(),
            name: package.metadata().name.to_string(),
            version: package.metadata().version.to_string(),
            lf: package.language_version().to_string(),
            bytes: read.payload.len(),
            modules: package.modules().len(),
            data_types: package.all_data_types().count(),
            values: package.all_values().count(),
            exceptions: package.all_exceptions().count(),
            templates: templates(package),
            interfaces: interfaces(package),
        }
    };
    // Who asks for a DAR means its main package, which comes after all that it needs.
    let packages = dar.packages.iter().rev().map(package).collect();
    Inspected { main: dar.main.to_string(), sdk: dar.sdk_version.clone(), packages }
}

fn templates(package: &Package) -> Vec<InspectedTemplate> {
    let one = |(module, template): (&DottedName, &lf::Template)| {
        let interface = |instance: &lf::InterfaceInstance| {
            let id = package.reference(instance.interface);
            format!("{}:{}", id.module, id.entity)
        };
        InspectedTemplate {
            name: format!("{module}:{}", template.name),
            key: template.key.as_ref().map(|key| package.type_text(key.ty)),
            implements: template.implements.iter().map(interface).collect(),
            choices: choices(package, &template.choices),
        }
    };
    package.all_templates().map(one).collect()
}

fn interfaces(package: &Package) -> Vec<InspectedInterface> {
    let one = |(module, interface): (&DottedName, &lf::Interface)| InspectedInterface {
        name: format!("{module}:{}", interface.name),
        view: package.type_text(interface.view),
        methods: interface.methods.iter().map(|(name, ty)| format!("{name}: {}", package.type_text(*ty))).collect(),
        choices: choices(package, &interface.choices),
    };
    package.all_interfaces().map(one).collect()
}

fn choices(package: &Package, choices: &[Choice]) -> Vec<InspectedChoice> {
    let one = |choice: &Choice| InspectedChoice {
        name: choice.name.to_string(),
        consuming: choice.consuming,
        argument: package.type_text(choice.arg_binder.1),
        returns: package.type_text(choice.returns),
    };
    choices.iter().map(one).collect()
}

fn table(inspected: &Inspected) -> String {
    let mut packages = Table::new();
    packages.load_style(presets::UTF8_HORIZONTAL_ONLY);
    packages.set_header([
        "package",
        "version",
        "LF",
        "bytes",
        "modules",
        "templates",
        "interfaces",
        "types",
        "values",
        "id",
    ]);
    for package in &inspected.packages {
        packages.add_row([
            package.name.clone(),
            package.version.clone(),
            package.lf.clone(),
            package.bytes.to_string(),
            package.modules.to_string(),
            package.templates.len().to_string(),
            package.interfaces.len().to_string(),
            package.data_types.to_string(),
            package.values.to_string(),
            package.id.clone(),
        ]);
    }
    let mut parts = vec![packages.to_string()];
    let main = inspected.packages.iter().find(|package| package.id == inspected.main);
    if let Some(package) = main {
        parts.extend(package.templates.iter().map(|template| {
            let key = template.key.iter().map(|key| format!(", key {key}"));
            let implements = template.implements.iter().map(|interface| format!(", implements {interface}"));
            let more: String = key.chain(implements).collect();
            listed(&format!("template {}{more}", template.name), &template.choices)
        }));
        parts.extend(package.interfaces.iter().map(|interface| {
            listed(&format!("interface {}, view {}", interface.name, interface.view), &interface.choices)
        }));
    }
    parts.join("\n")
}

fn listed(head: &str, choices: &[InspectedChoice]) -> String {
    let mut text = head.to_owned();
    for choice in choices {
        let how = if choice.consuming { "" } else { " (not consuming)" };
        text += &format!("\n  {}{how}: {} -> {}", choice.name, choice.argument, choice.returns);
    }
    text
}

/// A definition as LF text: of the main package, or else of the first that has one with this name.
fn show(dar: &Dar, name: &str) -> Result<String, LfCommandError> {
    let wrong = || LfCommandError::Name(name.to_owned());
    let (module, entity) = name.split_once(':').ok_or_else(wrong)?;
    let module = DottedName::new(module).map_err(|_| wrong())?;
    let entity = DottedName::new(entity).map_err(|_| wrong())?;
    let all = dar.packages.iter().rev().map(|package| &package.package);
    let mut found = all.filter_map(|package| package.definition_text(&module, &entity));
    found.next().ok_or_else(|| LfCommandError::NoDefinition(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Dar {
        lf::read_dar(&lf::models::iou()).unwrap()
    }

    #[test]
    fn a_dar_is_shown_as_table_and_json() {
        let inspected = inspect(&model());
        let text = table(&inspected);
        assert!(text.contains("concordat-iou"), "{text}");
        assert!(text.contains("\ntemplate Iou:Iou\n"), "{text}");
        assert!(text.contains("\n  Archive: "), "{text}");
        let json = serde_json::to_value(&inspected).unwrap();
        assert_eq!(json["packages"][0]["templates"][0]["choices"].as_array().unwrap().len(), 5);
        assert_eq!(json["packages"][0]["lf"], "2.1");
    }

    #[test]
    fn a_definition_is_shown_or_missed() {
        let text = show(&model(), "Iou:IouTransfer").unwrap();
        assert!(text.starts_with("record @serializable IouTransfer"), "{text}");
        assert!(text.contains("template (this: IouTransfer)"), "{text}");
        assert!(!text.contains("IouOffer)"), "{text}");
        assert!(matches!(show(&model(), "Iou:Nothing"), Err(LfCommandError::NoDefinition(_))));
        assert!(matches!(show(&model(), "Iou"), Err(LfCommandError::Name(_))));
    }

    #[test]
    fn dars_of_both_major_versions_are_inspected() {
        let Some(folder) = testkit::test_data() else { return };
        let file = |name: &str| read(&folder.join("dars").join(name)).unwrap();
        let old = table(&inspect(&file("model-tests-1.15.0757811f.dar")));
        assert!(old.contains("key "), "{old}");
        let new = file("splice-amulet-0.1.14.5a79b85f.dar");
        assert!(table(&inspect(&new)).contains(", implements Splice.Api.Token.HoldingV1:Holding"));
        assert!(show(&new, "Splice.Amulet:Amulet").unwrap().contains("template (this: Amulet) = {"));
    }
}
