//! What all of LF text is made of: tokens, names, kinds and types.

use super::lexer::{Token, error_at, lex};
use crate::{Arena, BuiltinType, Kind, KindId, LfError, NameId, RefId, Type, TypeId};
use base::{DottedName, Identifier, Name, PackageId};

/// Levels of nesting; the parser recurses, so they are bounded by the stack it may use.
const MAX_DEPTH: u32 = 300;

/// The text, how far it is read, and the arena under construction.
pub(super) struct Parser<'a> {
    source: &'a str,
    tokens: Vec<(Token<'a>, usize)>,
    at: usize,
    depth: u32,
    own: PackageId,
    pub(super) arena: Arena,
}

impl<'a> Parser<'a> {
    /// A parser of a package that refers to itself as `own`.
    pub(super) fn new(source: &'a str, own: PackageId) -> Result<Self, LfError> {
        Ok(Self { source, tokens: lex(source)?, at: 0, depth: 0, own, arena: Arena::default() })
    }

    /// The arena, once all is read.
    pub(super) fn finish(self) -> Arena {
        self.arena
    }

    pub(super) fn peek(&self) -> &Token<'a> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> &Token<'a> {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].0
    }

    pub(super) fn next(&mut self) -> Token<'a> {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    /// Where the parser is, to come back to.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// Goes back.
    pub(super) fn back_to(&mut self, place: usize) {
        self.at = place;
    }

    /// An error at the next token.
    pub(super) fn expected(&self, what: &str) -> LfError {
        let found = match self.peek() {
            Token::Word(word) | Token::Quoted(word) => (*word).to_owned(),
            Token::Symbol(symbol) => (*symbol).to_owned(),
            Token::End => "the end".to_owned(),
            Token::Package(_) => "a package id".to_owned(),
            other => format!("{other:?}"),
        };
        self.error(format!("expected {what}, found {found}"))
    }

    pub(super) fn error(&self, what: impl Into<String>) -> LfError {
        let (_, offset) = &self.tokens[self.at.min(self.tokens.len() - 1)];
        error_at(self.source, *offset, what)
    }

    /// Runs a nested part.
    pub(super) fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T, LfError>) -> Result<T, LfError> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(found) if *found == symbol)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if *found == word)
    }

    /// Takes a symbol if it is there.
    pub(super) fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    /// Takes a word if it is there.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn symbol(&mut self, symbol: &str) -> Result<(), LfError> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.expected(symbol)) }
    }

    pub(super) fn word(&mut self, word: &str) -> Result<(), LfError> {
        if self.take_word(word) { Ok(()) } else { Err(self.expected(word)) }
    }

    /// Parts separated by a symbol, at least one.
    pub(super) fn separated<T>(
        &mut self,
        symbol: &str,
        mut part: impl FnMut(&mut Self) -> Result<T, LfError>,
    ) -> Result<Vec<T>, LfError> {
        let mut all = vec![part(self)?];
        while self.take_symbol(symbol) {
            all.push(part(self)?);
        }
        Ok(all)
    }

    /// Parts separated by commas up to a symbol, which is taken; maybe none.
    pub(super) fn listed<T>(
        &mut self,
        end: &str,
        part: impl FnMut(&mut Self) -> Result<T, LfError>,
    ) -> Result<Vec<T>, LfError> {
        if self.take_symbol(end) {
            return Ok(Vec::new());
        }
        let all = self.separated(",", part)?;
        self.symbol(end)?;
        Ok(all)
    }

    /// A name.
    pub(super) fn plain_name(&mut self) -> Result<Name, LfError> {
        let (Token::Word(word) | Token::Quoted(word)) = *self.peek() else { return Err(self.expected("a name")) };
        let name = Name::new(word).map_err(|e| self.error(e.to_string()))?;
        self.at += 1;
        Ok(name)
    }

    /// A name, in the arena.
    pub(super) fn name(&mut self) -> Result<NameId, LfError> {
        let name = self.plain_name()?;
        Ok(self.arena.name(&name))
    }

    /// Names joined by dots.
    pub(super) fn dotted_name(&mut self) -> Result<DottedName, LfError> {
        let segments = self.separated(".", Self::plain_name)?;
        let joined = segments.iter().map(Name::as_str).collect::<Vec<_>>().join(".");
        DottedName::new(joined).map_err(|e| self.error(e.to_string()))
    }

    /// Whether a reference comes next: a package, or a dotted name and a colon.
    pub(super) fn at_reference(&self) -> bool {
        let mut ahead = 0;
        loop {
            match (self.peek_at(ahead), self.peek_at(ahead + 1)) {
                (Token::Package(_), _) => return true,
                (Token::Word(_) | Token::Quoted(_), Token::Symbol(".")) => ahead += 2,
                (Token::Word(_) | Token::Quoted(_), Token::Symbol(":")) => return true,
                _ => return false,
            }
        }
    }

    /// `Module:Entity`, with `'package':` in front where it is another one.
    pub(super) fn reference(&mut self) -> Result<RefId, LfError> {
        let package = match *self.peek() {
            Token::Package(id) => {
                let id = PackageId::new(id).map_err(|e| self.error(e.to_string()))?;
                self.at += 1;
                self.symbol(":")?;
                id
            }
            _ => self.own.clone(),
        };
        let module = self.dotted_name()?;
        self.symbol(":")?;
        let entity = self.dotted_name()?;
        Ok(self.arena.reference(&Identifier { package, module, entity }))
    }

    fn kind(&mut self) -> Result<KindId, LfError> {
        let from = if self.take_symbol("*") {
            self.arena.kind(Kind::Star)
        } else if self.take_word("nat") {
            self.arena.kind(Kind::Nat)
        } else {
            self.symbol("(")?;
            let inner = self.deeper(Self::kind)?;
            self.symbol(")")?;
            inner
        };
        if !self.take_symbol("->") {
            return Ok(from);
        }
        let to = self.deeper(Self::kind)?;
        Ok(self.arena.kind(Kind::Arrow(from, to)))
    }

    /// A type variable, alone or as `(name: kind)`.
    fn type_binder(&mut self) -> Result<(NameId, KindId), LfError> {
        if !self.take_symbol("(") {
            return Ok((self.name()?, self.arena.kind(Kind::Star)));
        }
        let name = self.name()?;
        self.symbol(":")?;
        let kind = self.kind()?;
        self.symbol(")")?;
        Ok((name, kind))
    }

    /// Type variables up to a symbol, which is taken.
    pub(super) fn type_binders(&mut self, end: &str) -> Result<Vec<(NameId, KindId)>, LfError> {
        let mut all = Vec::new();
        while !self.take_symbol(end) {
            all.push(self.type_binder()?);
        }
        Ok(all)
    }

    /// `name: type`.
    pub(super) fn binder(&mut self) -> Result<(NameId, TypeId), LfError> {
        let name = self.name()?;
        self.symbol(":")?;
        Ok((name, self.ty()?))
    }

    /// `name: type` of a definition.
    pub(super) fn field(&mut self) -> Result<(Name, TypeId), LfError> {
        let name = self.plain_name()?;
        self.symbol(":")?;
        Ok((name, self.ty()?))
    }

    /// A type: applications, then arrows.
    pub(super) fn ty(&mut self) -> Result<TypeId, LfError> {
        let mut ty = self.deeper(Self::atomic_type)?;
        while self.at_type() {
            let argument = self.deeper(Self::atomic_type)?;
            ty = self.arena.ty(Type::App(ty, argument));
        }
        if !self.take_symbol("->") {
            return Ok(ty);
        }
        let result = self.deeper(Self::ty)?;
        let arrow = self.arena.ty(Type::Builtin(BuiltinType::Arrow));
        let from = self.arena.ty(Type::App(arrow, ty));
        Ok(self.arena.ty(Type::App(from, result)))
    }

    /// Whether an argument of a type comes next. `||` begins a synonym, and also ends one: inside it, the arguments
    /// of a synonym that is itself one stand in parentheses.
    fn at_type(&self) -> bool {
        match self.peek() {
            Token::Quoted(_) | Token::Package(_) | Token::Int64(_) => true,
            // Words that go on with what the type stands in.
            Token::Word(word) => !matches!(*word, "to" | "in"),
            Token::Symbol(symbol) => matches!(*symbol, "(" | "<"),
            _ => false,
        }
    }

    /// `@` and a type.
    pub(super) fn type_arg(&mut self) -> Result<TypeId, LfError> {
        self.symbol("@")?;
        self.deeper(Self::atomic_type)
    }

    /// All that follow.
    pub(super) fn type_args(&mut self) -> Result<Box<[TypeId]>, LfError> {
        let mut all = Vec::new();
        while self.is_symbol("@") {
            all.push(self.type_arg()?);
        }
        Ok(all.into())
    }

    fn atomic_type(&mut self) -> Result<TypeId, LfError> {
        if self.take_symbol("(") {
            let inner = self.ty()?;
            self.symbol(")")?;
            return Ok(inner);
        }
        let ty = if self.take_symbol("<") {
            let mut fields = self.listed(">", Self::field)?;
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            Type::Struct(fields.into_iter().map(|(name, ty)| (self.arena.name(&name), ty)).collect())
        } else if self.take_symbol("||") {
            let synonym = self.reference()?;
            let mut args = Vec::new();
            while !self.take_symbol("||") {
                args.push(self.deeper(Self::atomic_type)?);
            }
            Type::Synonym(synonym, args.into())
        } else if let Token::Int64(number) = *self.peek() {
            let nat = u8::try_from(number).ok().filter(|nat| *nat <= 37);
            let nat = nat.ok_or_else(|| self.error("type-level numbers are those from 0 to 37"))?;
            self.at += 1;
            Type::Nat(nat)
        } else if self.at_reference() {
            Type::Con(self.reference()?)
        } else if self.take_word("forall") {
            let binders = self.type_binders(".")?;
            let mut body = self.ty()?;
            for (name, kind) in binders.into_iter().rev() {
                body = self.arena.ty(Type::Forall(name, kind, body));
            }
            return Ok(body);
        } else if let Token::Word(word) = self.peek()
            && let Some(builtin) = BuiltinType::from_text(word)
        {
            self.at += 1;
            Type::Builtin(builtin)
        } else {
            Type::Var(self.name()?)
        };
        Ok(self.arena.ty(ty))
    }
}
