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

/// Where a name stands: in which field as text before LF 1.7, by its number in LF 1 after that, in LF 2.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    text: u32,
    v1: u32,
    v2: u32,
}

impl At {
    pub(super) const fn new(text: u32, v1: u32, v2: u32) -> Self {
        Self { text, v1, v2 }
    }

    fn number(self, version: LanguageVersion) -> u32 {
        if version.is_v1() { self.v1 } else { self.v2 }
    }
}

/// Where most messages have the name of a variable or field.
pub(super) const USUAL: At = At::new(1, 3, 3);

/// Decodes the package message of an archive.
pub(crate) fn decode(id: &PackageId, version: LanguageVersion, bytes: &[u8]) -> Result<Package, LfError> {
    let mut message = Message::read("Package", bytes)?;
    let modules = message.messages(1)?;
    refuse_early(version, &modules)?;
    let strings: Vec<Arc<str>> = message.texts(2)?.into_iter().map(Arc::from).collect();
    let dotted = message.messages(3)?;
    let metadata = message.optional_bytes(4)?;
    let (types, kinds, exprs) = (message.messages(5)?, message.messages(6)?, message.messages(7)?);
    let (reason, imports) = (message.optional_bytes(8)?, message.optional_bytes(9)?);
    if !version.may_be_flat() && (!kinds.is_empty() || !exprs.is_empty() || reason.is_some() || imports.is_some()) {
        return Err(message.invalid("interned kinds, expressions and imports exist from LF 2.2 on"));
    }
    if (!types.is_empty() && !version.has_type_table()) || (!dotted.is_empty() && !version.has_tables()) {
        return Err(message.invalid(format_args!("it has tables that LF {version} has not")));
    }
    if metadata.is_some() != version.has_metadata() {
        return Err(message.invalid(format_args!("name and version are stated from LF 1.8 on, not in LF {version}")));
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
    let metadata = match metadata {
        Some(metadata) => decoder.read_metadata(metadata)?,
        None => unnamed(id)?,
    };
    decoder.read_tables(&kinds, &types, &exprs)?;
    let modules = modules.into_iter().map(|module| decoder.module(module)).collect::<Result<_, _>>()?;
    let package = Package::new(id.clone(), version, metadata, decoder.arena, modules)?;
    super::sizes::check(&package)?;
    Ok(package)
}

/// Before LF 1.8 packages have no names. Each gets one of its own, so that none is a version of another.
fn unnamed(id: &PackageId) -> Result<Metadata, LfError> {
    let invalid = |what: String| LfError::Invalid { message: "Package", what };
    Ok(Metadata {
        name: PackageName::new(format!("unnamed-{id}")).map_err(|e| invalid(e.to_string()))?,
        version: PackageVersion::new("0.0.0").map_err(|e| invalid(e.to_string()))?,
        upgrades: None,
    })
}

/// Archives from before the format's release say 2.1, but have the field numbers of LF 1. There, the number of the
/// module's name is in field 8, where the release has its interfaces.
fn refuse_early(version: LanguageVersion, modules: &[&[u8]]) -> Result<(), LfError> {
    for module in modules.iter().filter(|_| !version.is_v1()) {
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

    /// The text in a field. Before LF 1.7 it stands there itself, later its number in the table.
    pub(super) fn text_in(&self, message: &mut Message<'a>, at: At) -> Result<Arc<str>, LfError> {
        if self.version.has_tables() {
            return self.string(message.index(at.number(self.version))?).cloned();
        }
        message.text(at.text).map(Arc::from)
    }

    /// The name in a field.
    pub(super) fn plain_name_in(&self, message: &mut Message<'a>, at: At) -> Result<Name, LfError> {
        Name::new(&*self.text_in(message, at)?).map_err(|e| message.invalid(e))
    }

    /// The name in a field, in the arena.
    pub(super) fn name_in(&mut self, message: &mut Message<'a>, at: At) -> Result<NameId, LfError> {
        let name = self.plain_name_in(message, at)?;
        Ok(self.arena.name(&name))
    }

    /// The definition or module name in a field.
    pub(super) fn dotted_in(&self, message: &mut Message<'a>, at: At) -> Result<DottedName, LfError> {
        if self.version.has_tables() {
            return self.dotted_name(message.index(at.number(self.version))?);
        }
        let mut inner = Message::read("DottedName", message.message(at.text)?)?;
        let segments = inner.texts(1)?;
        inner.finish()?;
        DottedName::new(segments.join(".")).map_err(|e| message.invalid(e))
    }

    /// The name of a value in a field; before LF 1.7 its segments are repeated.
    pub(super) fn value_name_in(&self, message: &mut Message<'a>, at: At) -> Result<DottedName, LfError> {
        if self.version.has_tables() {
            return self.dotted_in(message, at);
        }
        DottedName::new(message.texts(at.text)?.join(".")).map_err(|e| message.invalid(e))
    }

    /// A module of this or another package.
    fn module_id(&self, bytes: &'a [u8]) -> Result<(PackageId, DottedName), LfError> {
        let mut message = Message::read("ModuleId", bytes)?;
        let package = self.package_id(message.message(1)?)?;
        let name = self.dotted_in(&mut message, At::new(2, 3, 2))?;
        message.finish()?;
        Ok((package, name))
    }

    fn package_id(&self, bytes: &[u8]) -> Result<PackageId, LfError> {
        let mut message = Message::read("SelfOrImportedPackageId", bytes)?;
        let (number, wire) = message.alternative()?;
        match number {
            1 => Ok(self.package.clone()),
            2 if !self.version.has_tables() => {
                let text = std::str::from_utf8(message.as_message(2, wire)?).map_err(|e| message.invalid(e))?;
                PackageId::new(text).map_err(|e| message.invalid(e))
            }
            3 => {
                let text = self.string(message.as_index(3, wire)?)?;
                PackageId::new(text).map_err(|e| message.invalid(e))
            }
            4 if self.version.may_be_flat() => {
                let index = message.as_index(4, wire)?;
                let import = usize::try_from(index).ok().and_then(|index| self.imports.get(index));
                import.cloned().ok_or_else(|| out_of_table("imports", index))
            }
            _ => Err(message.invalid(format_args!("field {number} is unknown"))),
        }
    }

    /// A reference to a type, template, interface, exception or synonym.
    pub(super) fn reference(&mut self, bytes: &'a [u8]) -> Result<RefId, LfError> {
        self.any_reference(bytes, Self::dotted_in)
    }

    /// A reference to a value.
    pub(super) fn value_reference(&mut self, bytes: &'a [u8]) -> Result<RefId, LfError> {
        self.any_reference(bytes, Self::value_name_in)
    }

    fn any_reference(
        &mut self,
        bytes: &'a [u8],
        name: impl Fn(&Self, &mut Message<'a>, At) -> Result<DottedName, LfError>,
    ) -> Result<RefId, LfError> {
        let mut message = Message::read("TypeConId", bytes)?;
        let (package, module) = self.module_id(message.message(1)?)?;
        let entity = name(self, &mut message, At::new(2, 3, 2))?;
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
