//! The project's own models, written in LF text.

use base::{PackageName, PackageVersion};

/// A DAR with the package `concordat-iou` 1.0.0. Module `Iou` has the templates `Iou`, `IouOffer` and `IouTransfer`
/// (see `models/iou.lf`): an offer binds the issuer, acceptance both, and a transfer needs the new owner's acceptance.
#[must_use]
pub fn iou() -> Vec<u8> {
    let name = PackageName::new("concordat-iou").expect("the name is one");
    let version = PackageVersion::new("1.0.0").expect("the version is one");
    crate::assemble(include_str!("../models/iou.lf"), &name, &version)
        .expect("a test assembles the project's own model")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_dar;

    #[test]
    fn the_model_is_a_dar_of_its_own() {
        let dar = read_dar(&iou()).unwrap();
        let main = dar.main();
        assert_eq!(dar.packages.len(), 1);
        // Contracts name it; whoever changes the model gives it another version.
        assert_eq!(main.id().as_str(), "2b5a2205612268f77706f6e964b07cfd1fd5ca607bcb6f10dff5fe9e1b4abbbf");
        let templates: Vec<_> = main.all_templates().map(|(_, t)| (t.name.to_string(), t.choices.len())).collect();
        assert_eq!(templates, [("Iou".into(), 5), ("IouOffer".into(), 4), ("IouTransfer".into(), 4)]);
        for (module, template) in main.all_templates() {
            assert!(main.data_type(module, &template.name).is_some_and(|d| d.serializable));
            let archive = template.choices.iter().find(|choice| choice.name.as_str() == "Archive").unwrap();
            assert!(archive.consuming);
        }
        assert_eq!(iou(), iou());
    }
}
