//! The package and its interning tables.

use crate::{
    Arena, Expr, ExprId, KindId, LanguageVersion, LfError, Metadata, NameId, Package, RefId, TypeId,
    wire::{Message, Wire},
};
use base::{DottedName, Identifier, Name, PackageId, PackageName, PackageVersion};
use std::sync::Arc;

/// What the rest of the decoder shares: tables of the archive, arena under construction, parts still to be read.
pub(super) struct Decoder<'a> {
    package: PackageId,
    pub(super) version: LanguageVersion,
    strings: Vec<Arc<str>>,
    dotted: Vec<DottedName>,
    imports: Vec<PackageId>,
    pub(super) arena: Arena,
    /// Entries of the archive's own tables that have been read, and may be referred to: tables refer backwards only.
    /// They have the first numbers of the arena's.
    pub(super) interned_kinds: u32,
    pub(super) interned_types: u32,
    pub(super) interned_exprs: u32,
    pub(super) pending_kinds: Vec<(KindId, &'a [u8])>,
    pub(super) pending_types: Vec<(TypeId, &'a [u8])>,
    pub(super) pending_exprs: Vec<(ExprId, &'a [u8])>,
}

/// Decodes the package message of an archive.
pub(crate) fn decode(id: &PackageId, version: LanguageVersion, bytes: &[u8]) -> Result<Package, LfError> {
    let mut message = Message::read("Package", bytes)?;
    let modules = message.messages(1)?;
    refuse_early(version, &modules)?;
    let strings: Vec<Arc<str>> = message.texts(2)?.into_iter().map(Arc::from).collect();
    let dotted = message.messages(3)?;
    let metadata = message.message(4)?;
    let (types, kinds, exprs) = (message.messages(5)?, message.messages(6)?, message.messages(7)?);
    let (reason, imports) = (message.optional_bytes(8)?, message.optional_bytes(9)?);
    if !version.is_flat() && (!kinds.is_empty() || !exprs.is_empty() || reason.is_some() || imports.is_some()) {
        return Err(message.invalid("interned kinds, expressions and imports exist from LF 2.2 on"));
    }
    if reason.is_some() && imports.is_some() {
        return Err(message.invalid("it both has imports and says why it has none"));
    }
    message.finish()?;
    let mut decoder = Decoder {
        package: id.clone(),
        version,
        strings,
        dotted: Vec::new(),
        imports: imports.map(read_imports).transpose()?.unwrap_or_default(),
        arena: Arena::default(),
        interned_kinds: 0,
        interned_types: 0,
        interned_exprs: 0,
        pending_kinds: Vec::new(),
        pending_types: Vec::new(),
        pending_exprs: Vec::new(),
    };
    for name in dotted {
        let name = decoder.read_dotted(name)?;
        decoder.dotted.push(name);
    }
    let metadata = decoder.read_metadata(metadata)?;
    decoder.read_tables(&kinds, &types, &exprs)?;
    let modules = modules.into_iter().map(|module| decoder.module(module)).collect::<Result<_, _>>()?;
    let package = Package::new(id.clone(), version, metadata, decoder.arena, modules)?;
    super::sizes::check(&package)?;
    Ok(package)
}

/// Archives from before the format's release say 2.1, but have the field numbers of LF 1. There, the number of the
/// module's name is in field 8, where the release has its interfaces.
fn refuse_early(version: LanguageVersion, modules: &[&[u8]]) -> Result<(), LfError> {
    for module in modules {
        let interfaces = Message::read("Module", module)?.repeated(8);
        if interfaces.iter().any(|wire| matches!(wire, Wire::Varint(_))) {
            let shown = format!("{version} (pre-release)");
            return Err(LfError::Version(shown, "it was compiled before the format's release; compile it again"));
        }
    }
    Ok(())
}

fn read_imports(bytes: &[u8]) -> Result<Vec<PackageId>, LfError> {
    let mut message = Message::read("PackageImports", bytes)?;
    let texts = message.texts(1)?;
    let imports = texts.into_iter().map(|text| PackageId::new(text).map_err(|e| message.invalid(e))).collect();
    message.finish()?;
    imports
}

impl<'a> Decoder<'a> {
    fn read_dotted(&self, bytes: &[u8]) -> Result<DottedName, LfError> {
        let mut message = Message::read("InternedDottedName", bytes)?;
        let mut segments = Vec::new();
        for segment in message.indexes(1)? {
            segments.push(&**self.string(segment)?);
        }
        let name = DottedName::new(segments.join(".")).map_err(|e| message.invalid(e))?;
        message.finish()?;
        Ok(name)
    }

    fn read_metadata(&self, bytes: &[u8]) -> Result<Metadata, LfError> {
        let mut message = Message::read("PackageMetadata", bytes)?;
        let name = PackageName::new(self.string(message.index(1)?)?).map_err(|e| message.invalid(e))?;
        let version = PackageVersion::new(self.string(message.index(2)?)?).map_err(|e| message.invalid(e))?;
        let upgrades = match message.optional_bytes(3)? {
            None => None,
            Some(upgraded) => {
                let mut upgraded = Message::read("UpgradedPackageId", upgraded)?;
                let id = self.string(upgraded.index(1)?)?;
                upgraded.finish()?;
                Some(PackageId::new(id).map_err(|e| message.invalid(e))?)
            }
        };
        message.finish()?;
        Ok(Metadata { name, version, upgrades })
    }

    /// Reads the tables of kinds, types and expressions. Their entries get the first numbers of the arena, so that a
    /// number of the archive is a number of the arena.
    fn read_tables(&mut self, kinds: &[&'a [u8]], types: &[&'a [u8]], exprs: &[&'a [u8]]) -> Result<(), LfError> {
        for _ in kinds {
            self.reserve_kind();
        }
        for _ in types {
            self.reserve_type();
        }
        for _ in exprs {
            self.arena.expr(Expr::Unit);
        }
        for bytes in kinds {
            self.pending_kinds.push((KindId(self.interned_kinds), bytes));
            self.drain_kinds()?;
            self.interned_kinds += 1;
        }
        for bytes in types {
            self.pending_types.push((TypeId(self.interned_types), bytes));
            self.drain_types()?;
            self.interned_types += 1;
        }
        for bytes in exprs {
            self.pending_exprs.push((ExprId(self.interned_exprs), bytes));
            self.drain_exprs()?;
            self.interned_exprs += 1;
        }
        Ok(())
    }

    pub(super) fn string(&self, index: u32) -> Result<&Arc<str>, LfError> {
        let found = usize::try_from(index).ok().and_then(|index| self.strings.get(index));
        found.ok_or_else(|| out_of_table("strings", index))
    }

    /// The definition or module name with this number in the archive.
    pub(super) fn dotted_name(&self, index: u32) -> Result<DottedName, LfError> {
        let found = usize::try_from(index).ok().and_then(|index| self.dotted.get(index));
        found.cloned().ok_or_else(|| out_of_table("dotted names", index))
    }

    /// The name with this number in the archive.
    pub(super) fn plain_name(&self, index: u32) -> Result<Name, LfError> {
        Name::new(self.string(index)?).map_err(|e| LfError::Invalid { message: "Package", what: e.to_string() })
    }

    /// The name with this number in the archive, in the arena.
    pub(super) fn name(&mut self, index: u32) -> Result<NameId, LfError> {
        let name = self.plain_name(index)?;
        Ok(self.arena.name(&name))
    }

    /// A module of this or another package.
    fn module_id(&self, bytes: &[u8]) -> Result<(PackageId, DottedName), LfError> {
        let mut message = Message::read("ModuleId", bytes)?;
        let package = self.package_id(message.message(1)?)?;
        let name = self.dotted_name(message.index(2)?)?;
        message.finish()?;
        Ok((package, name))
    }

    fn package_id(&self, bytes: &[u8]) -> Result<PackageId, LfError> {
        let mut message = Message::read("SelfOrImportedPackageId", bytes)?;
        let (number, wire) = message.alternative()?;
        match number {
            1 => Ok(self.package.clone()),
            3 => {
                let text = self.string(message.as_index(3, wire)?)?;
                PackageId::new(text).map_err(|e| message.invalid(e))
            }
            4 => {
                let index = message.as_index(4, wire)?;
                let import = usize::try_from(index).ok().and_then(|index| self.imports.get(index));
                import.cloned().ok_or_else(|| out_of_table("imports", index))
            }
            _ => Err(message.invalid(format_args!("field {number} is unknown"))),
        }
    }

    /// A reference to a definition: `TypeConId`, `TypeSynId` and `ValueId` have one shape.
    pub(super) fn reference(&mut self, bytes: &[u8]) -> Result<RefId, LfError> {
        let mut message = Message::read("TypeConId", bytes)?;
        let (package, module) = self.module_id(message.message(1)?)?;
        let entity = self.dotted_name(message.index(2)?)?;
        message.finish()?;
        Ok(self.arena.reference(&Identifier { package, module, entity }))
    }

    /// A number into one of the archive's tables, not beyond what has been read of it.
    pub(super) fn interned(table: &'static str, index: u32, read: u32) -> Result<u32, LfError> {
        if index < read { Ok(index) } else { Err(out_of_table(table, index)) }
    }

    /// Reads and drops a source location, so that it is well-formed at least.
    pub(super) fn skip_location(&self, message: &mut Message<'a>, number: u32) -> Result<(), LfError> {
        if let Some(bytes) = message.optional_bytes(number)? {
            let mut location = Message::read("Location", bytes)?;
            if let Some(module) = location.optional_bytes(1)? {
                self.module_id(module)?;
            }
            if let Some(range) = location.optional_bytes(2)? {
                let mut range = Message::read("Location.Range", range)?;
                (1..=4).try_for_each(|field| range.index(field).map(|_| ()))?;
                range.finish()?;
            }
            location.finish()?;
        }
        Ok(())
    }
}

fn out_of_table(table: &'static str, index: u32) -> LfError {
    LfError::Invalid { message: "Package", what: format!("there is no entry {index} in the table of {table}") }
}

/// The message in a field that holds an empty message to say "this one".
pub(super) fn unit(message: &Message<'_>, number: u32, wire: Wire<'_>) -> Result<(), LfError> {
    match wire {
        Wire::Bytes([]) => Ok(()),
        _ => Err(message.invalid(format_args!("field {number} is not empty"))),
    }
}
