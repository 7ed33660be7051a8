//! The project's own models, written in LF text.

use base::{PackageName, PackageVersion};

/// A DAR with the package `concordat-iou` 1.0.0. Module `Iou` has the templates `Iou`, `IouOffer` and `IouTransfer`
/// (see `models/iou.lf`): an offer binds the issuer, acceptance both, and a transfer needs the new owner's acceptance.
#[must_use]
pub fn iou() -> Vec<u8> {
    assembled("concordat-iou", include_str!("../models/iou.lf"))
}

/// A DAR with the package `concordat-admin` 1.0.0, which every participant has. Template `Ping` of module `PingPong` is
/// created by one participant, and its choice `Respond` exercised by the other (see `models/admin.lf`).
#[must_use]
pub fn admin() -> Vec<u8> {
    assembled("concordat-admin", include_str!("../models/admin.lf"))
}

fn assembled(name: &str, text: &str) -> Vec<u8> {
    let name = PackageName::new(name).expect("the name is one");
    let version = PackageVersion::new("1.0.0").expect("the version is one");
    crate::assemble(text, &name, &version).expect("a test assembles the project's own models")
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

    #[test]
    fn participants_share_a_model_of_their_own() {
        let dar = read_dar(&admin()).unwrap();
        // Participants of another version would not know another package.
        assert_eq!(dar.main().id().as_str(), "8222717d194b398ec811bc3ddbe9f74cf7a941ba7829c33e6edc838349a0398f");
        let templates: Vec<_> =
            dar.main().all_templates().map(|(_, t)| (t.name.to_string(), t.choices.len())).collect();
        assert_eq!(templates, [("Ping".into(), 2)]);
    }
}
