//! A package of LF 2.1 in plain Rust, as a program would read it that trusts its input: by recursion, into a tree, without
//! looking for what should not be there. The twin of `lf`'s reader. `None`: it is of another version.

/// A name or text, by its number in the package's table.
pub(crate) type Text = u32;
/// Package (`None`: this one), module and definition, by their numbers in the package's tables.
pub(crate) type Ref = (Option<u32>, u32, u32);

#[derive(Debug)]
#[expect(dead_code, reason = "they are read, but code has none")]
pub(crate) enum Type {
    Var(Text, Vec<Type>),
    Con(Ref, Vec<Type>),
    Builtin(u64, Vec<Type>),
    Forall(Vec<Text>, Box<Type>),
    Struct(Vec<(Text, Type)>),
    Nat(u64),
    Interned(u64),
}

#[derive(Debug)]
pub(crate) enum Literal {
    Int64(i64),
    Fixed(u64),
    Text(Text),
    Other(u64),
}

#[derive(Debug)]
pub(crate) enum Pattern {
    Default,
    Variant(Ref, Text, Text),
    Enum(Ref, Text),
    Constant(u64),
    Nil,
    Cons(Text, Text),
    None,
    Some(Text),
}

#[derive(Debug)]
pub(crate) enum Expr {
    Var(Text),
    Value(Ref),
    Builtin(u64),
    Constant(u64),
    Literal(Literal),
    Record(Ref, Vec<(Text, Expr)>),
    Project(Ref, Text, Box<Expr>),
    Update(Ref, Text, Box<[Expr; 2]>),
    Variant(Ref, Text, Box<Expr>),
    Enum(Ref, Text),
    Struct(Vec<(Text, Expr)>),
    StructProject(Text, Box<Expr>),
    StructUpdate(Text, Box<[Expr; 2]>),
    Apply(Box<Expr>, Vec<Expr>),
    Function(Vec<Text>, Box<Expr>),
    /// Of types, which go.
    Erased(Box<Expr>),
    Case(Box<Expr>, Vec<(Pattern, Expr)>),
    Let(Vec<(Text, Expr)>, Box<Expr>),
    List(Vec<Expr>, Option<Box<Expr>>),
    /// Everything else has a form, perhaps a definition, and parts.
    Form(u32, Option<Ref>, Vec<Expr>),
    /// The same for actions.
    Action(u32, Option<Ref>, Vec<Expr>),
    Block(Vec<(Text, Expr)>, Box<Expr>),
    Try(Box<Expr>, Text, Box<Expr>),
}

/// A record, variant or enum: its fields or constructors.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) name: u32,
    pub(crate) labels: Vec<Text>,
}

/// An expression in the scope of some parameters.
#[derive(Debug)]
pub(crate) struct Body(pub(crate) Vec<Text>, pub(crate) Expr);

#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: u32,
    pub(crate) data: Vec<Data>,
    pub(crate) values: Vec<(u32, Expr)>,
    /// What templates, interfaces and exceptions compute.
    pub(crate) bodies: Vec<Body>,
}

#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) strings: Vec<String>,
    pub(crate) dotted: Vec<String>,
    #[expect(dead_code, reason = "as above")]
    pub(crate) types: Vec<Type>,
    pub(crate) modules: Vec<Module>,
    /// Expressions that were read.
    pub(crate) exprs: usize,
}

#[derive(Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message.
struct Fields<'a>(&'a [u8]);

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift)?;
        if *first < 0x80 {
            return Some(value);
        }
        shift += 7;
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);
    fn next(&mut self) -> Option<Self::Item> {
        let tag = varint(&mut self.0)?;
        let length = match tag & 7 {
            0 => return Some((tag >> 3, Field::Number(varint(&mut self.0)?))),
            1 => 8,
            _ => usize::try_from(varint(&mut self.0)?).ok()?,
        };
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((tag >> 3, Field::Bytes(bytes)))
    }
}

fn all(bytes: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    Fields(bytes).filter_map(move |(n, field)| match field {
        Field::Bytes(bytes) if n == number => Some(bytes),
        _ => None,
    })
}

fn one(bytes: &[u8], number: u64) -> Option<&[u8]> {
    all(bytes, number).next()
}

fn number(bytes: &[u8], number: u64) -> u64 {
    let found = Fields(bytes).find_map(|(n, field)| match field {
        Field::Number(value) if n == number => Some(value),
        _ => None,
    });
    found.unwrap_or(0)
}

fn text(bytes: &[u8], at: u64) -> Option<Text> {
    u32::try_from(number(bytes, at)).ok()
}

fn packed(bytes: &[u8], number: u64) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for mut packed in all(bytes, number) {
        while !packed.is_empty() {
            found.push(u32::try_from(varint(&mut packed)?).ok()?);
        }
    }
    Some(found)
}

fn reference(bytes: &[u8]) -> Option<Ref> {
    let module = one(bytes, 1)?;
    let package = Fields(one(module, 1)?).find_map(|(n, field)| match field {
        Field::Number(package) if n == 3 => u32::try_from(package).ok(),
        _ => None,
    });
    Some((package, text(module, 2)?, text(bytes, 2)?))
}

fn constructor(bytes: &[u8]) -> Option<Ref> {
    reference(one(one(bytes, 1)?, 1)?)
}

fn ty(bytes: &[u8]) -> Option<Type> {
    let args = |bytes| all(bytes, 2).map(ty).collect::<Option<Vec<_>>>();
    Some(match Fields(bytes).next()? {
        (1, Field::Bytes(b)) => Type::Var(text(b, 3)?, args(b)?),
        (2 | 7, Field::Bytes(b)) => Type::Con(reference(one(b, 1)?)?, args(b)?),
        (3, Field::Bytes(b)) => Type::Builtin(number(b, 1), args(b)?),
        (4, Field::Bytes(b)) => {
            Type::Forall(all(b, 1).map(|b| text(b, 3)).collect::<Option<_>>()?, Box::new(ty(one(b, 2)?)?))
        }
        (5, Field::Bytes(b)) => {
            Type::Struct(all(b, 1).map(|b| Some((text(b, 3)?, ty(one(b, 2)?)?))).collect::<Option<_>>()?)
        }
        (6, Field::Number(n)) => Type::Nat(n),
        (8, Field::Number(n)) => Type::Interned(n),
        _ => return None,
    })
}

/// Reads expressions, and counts them.
#[derive(Default)]
struct Reader {
    exprs: usize,
}

impl Reader {
    fn expr(&mut self, bytes: &[u8]) -> Option<Expr> {
        self.exprs += 1;
        let (form, field) = Fields(bytes).find(|(n, _)| *n != 1)?;
        let b = match (form, field) {
            (2, Field::Number(n)) => return Some(Expr::Var(u32::try_from(n).ok()?)),
            (4, Field::Number(n)) => return Some(Expr::Builtin(n)),
            (5, Field::Number(n)) => return Some(Expr::Constant(n)),
            (_, Field::Bytes(b)) => b,
            _ => return None,
        };
        Some(match form {
            3 => Expr::Value(reference(b)?),
            6 => Expr::Literal(literal(b)?),
            7 => Expr::Record(constructor(b)?, self.fields(b, 2)?),
            8 => Expr::Project(constructor(b)?, text(b, 4)?, self.boxed(b, 3)?),
            9 => Expr::Update(constructor(b)?, text(b, 2)?, self.pair(b, 3, 4)?),
            10 => Expr::Variant(constructor(b)?, text(b, 2)?, self.boxed(b, 3)?),
            11 => Expr::Enum(reference(one(b, 1)?)?, text(b, 2)?),
            12 => Expr::Struct(self.fields(b, 1)?),
            13 => Expr::StructProject(text(b, 1)?, self.boxed(b, 2)?),
            14 => Expr::StructUpdate(text(b, 1)?, self.pair(b, 2, 3)?),
            15 => Expr::Apply(self.boxed(b, 1)?, self.several(b, 2)?),
            16 => Expr::Erased(self.boxed(b, 1)?),
            17 => Expr::Function(all(b, 1).map(|b| text(b, 3)).collect::<Option<_>>()?, self.boxed(b, 2)?),
            18 => Expr::Erased(self.boxed(b, 2)?),
            19 => Expr::Case(self.boxed(b, 1)?, all(b, 2).map(|b| self.alternative(b)).collect::<Option<_>>()?),
            20 => Expr::Let(self.bindings(b)?, self.boxed(b, 2)?),
            21 => Expr::List(Vec::new(), None),
            22 => Expr::List(self.several(b, 2)?, Some(self.boxed(b, 3)?)),
            23 => self.action(b)?,
            25 | 29 => Expr::Form(25, None, Vec::new()),
            26..=28 | 30 | 31 => Expr::Form(26, None, self.parts(b, &[2])?),
            32 => Expr::Form(32, None, self.parts(b, &[3])?),
            36..=38 | 40 => Expr::Form(36, Some(reference(one(b, 1)?)?), self.parts(b, &[2])?),
            33..=35 | 41 | 42 => Expr::Form(33, Some(reference(one(b, 1)?)?), self.parts(b, &[3])?),
            39 | 43 => Expr::Form(39, Some(reference(one(b, 1)?)?), self.parts(b, &[3, 4])?),
            _ => return None,
        })
    }

    fn action(&mut self, bytes: &[u8]) -> Option<Expr> {
        let (form, Field::Bytes(b)) = Fields(bytes).next()? else { return None };
        let form = u32::try_from(form).ok()?;
        Some(match form {
            1 | 7 => Expr::Action(form, None, self.parts(b, &[2])?),
            2 => Expr::Block(self.bindings(b)?, self.boxed(b, 2)?),
            3 | 5 | 12 | 14 => Expr::Action(form, Some(reference(one(b, 1)?)?), self.parts(b, &[2])?),
            4 => Expr::Action(form, Some(reference(one(b, 1)?)?), self.parts(b, &[3, 5])?),
            6 => Expr::Action(form, None, Vec::new()),
            11 => Expr::Try(self.boxed(b, 2)?, text(b, 3)?, self.boxed(b, 4)?),
            13 => Expr::Action(form, Some(reference(one(b, 1)?)?), self.parts(b, &[3, 4])?),
            15 => Expr::Action(form, None, vec![self.expr(b)?]),
            _ => return None,
        })
    }

    fn boxed(&mut self, bytes: &[u8], number: u64) -> Option<Box<Expr>> {
        self.expr(one(bytes, number)?).map(Box::new)
    }

    fn pair(&mut self, bytes: &[u8], first: u64, second: u64) -> Option<Box<[Expr; 2]>> {
        Some(Box::new([self.expr(one(bytes, first)?)?, self.expr(one(bytes, second)?)?]))
    }

    fn several(&mut self, bytes: &[u8], number: u64) -> Option<Vec<Expr>> {
        all(bytes, number).map(|bytes| self.expr(bytes)).collect()
    }

    fn parts(&mut self, bytes: &[u8], numbers: &[u64]) -> Option<Vec<Expr>> {
        numbers.iter().map(|number| self.expr(one(bytes, *number)?)).collect()
    }

    fn fields(&mut self, bytes: &[u8], number: u64) -> Option<Vec<(Text, Expr)>> {
        all(bytes, number).map(|bytes| Some((text(bytes, 3)?, self.expr(one(bytes, 2)?)?))).collect()
    }

    fn bindings(&mut self, bytes: &[u8]) -> Option<Vec<(Text, Expr)>> {
        all(bytes, 1).map(|bytes| Some((text(one(bytes, 1)?, 3)?, self.expr(one(bytes, 2)?)?))).collect()
    }

    fn alternative(&mut self, bytes: &[u8]) -> Option<(Pattern, Expr)> {
        let body = self.expr(one(bytes, 1)?)?;
        let pattern = match Fields(bytes).find(|(n, _)| *n != 1)? {
            (2, _) => Pattern::Default,
            (3, Field::Bytes(b)) => Pattern::Variant(reference(one(b, 1)?)?, text(b, 2)?, text(b, 3)?),
            (4, Field::Number(n)) => Pattern::Constant(n),
            (5, _) => Pattern::Nil,
            (6, Field::Bytes(b)) => Pattern::Cons(text(b, 1)?, text(b, 2)?),
            (7, _) => Pattern::None,
            (8, Field::Bytes(b)) => Pattern::Some(text(b, 1)?),
            (9, Field::Bytes(b)) => Pattern::Enum(reference(one(b, 1)?)?, text(b, 2)?),
            _ => return None,
        };
        Some((pattern, body))
    }

    fn body(&mut self, params: &[Text], bytes: &[u8], number: u64, bodies: &mut Vec<Body>) -> Option<()> {
        bodies.push(Body(params.to_vec(), self.expr(one(bytes, number)?)?));
        Some(())
    }

    fn choice(&mut self, this: Text, b: &[u8], bodies: &mut Vec<Body>) -> Option<()> {
        let argument = text(one(b, 6)?, 3)?;
        self.body(&[this, argument], b, 4, bodies)?;
        self.body(&[this, argument], b, 5, bodies)?;
        self.body(&[this, argument, text(b, 10)?], b, 9, bodies)
    }

    fn template(&mut self, b: &[u8], bodies: &mut Vec<Body>) -> Option<()> {
        let this = text(b, 2)?;
        if one(b, 3).is_some() {
            self.body(&[this], b, 3, bodies)?;
        }
        self.body(&[this], b, 4, bodies)?;
        self.body(&[this], b, 7, bodies)?;
        all(b, 6).try_for_each(|b| self.choice(this, b, bodies))?;
        for instance in all(b, 10) {
            let instance = one(instance, 2)?;
            self.body(&[this], instance, 2, bodies)?;
            all(instance, 1).try_for_each(|b| self.body(&[this], b, 2, bodies))?;
        }
        Some(())
    }

    fn module(&mut self, b: &[u8]) -> Option<Module> {
        let mut bodies = Vec::new();
        let data = all(b, 4).map(data).collect::<Option<_>>()?;
        let value = |b| Some((text(one(b, 2)?, 1)?, self.expr(one(b, 3)?)?));
        let values = all(b, 5).map(value).collect::<Option<_>>()?;
        all(b, 6).try_for_each(|b| self.template(b, &mut bodies))?;
        all(b, 7).try_for_each(|b| self.body(&[], b, 3, &mut bodies))?;
        for interface in all(b, 8) {
            let this = text(interface, 4)?;
            all(interface, 5).try_for_each(|b| self.choice(this, b, &mut bodies))?;
        }
        Some(Module { name: text(b, 1)?, data, values, bodies })
    }
}

fn literal(bytes: &[u8]) -> Option<Literal> {
    Some(match Fields(bytes).next()? {
        (1, Field::Number(n)) => Literal::Int64((n >> 1).cast_signed() ^ -((n & 1).cast_signed())),
        (2, Field::Bytes(b)) => Literal::Fixed(u64::from_le_bytes(b.try_into().ok()?)),
        (3 | 4, Field::Number(n)) => Literal::Text(u32::try_from(n).ok()?),
        (_, Field::Number(n)) => Literal::Other(n),
        _ => return None,
    })
}

fn data(b: &[u8]) -> Option<Data> {
    let labels = match (one(b, 5).or(one(b, 6)), one(b, 7)) {
        (Some(fields), _) => all(fields, 1).map(|b| text(b, 3)).collect::<Option<_>>()?,
        (None, Some(constructors)) => packed(constructors, 2)?,
        (None, None) => Vec::new(),
    };
    Some(Data { name: text(b, 2)?, labels })
}

/// Reads the payload of an archive.
pub(crate) fn read(payload: &[u8]) -> Option<Package> {
    let package = one(payload, 4)?;
    let strings: Vec<String> =
        all(package, 2).map(|text| String::from_utf8(text.to_vec()).ok()).collect::<Option<_>>()?;
    let segment = |n: u32| strings.get(usize::try_from(n).ok()?).map(String::as_str);
    let dotted = |b| Some(packed(b, 1)?.into_iter().map(segment).collect::<Option<Vec<_>>>()?.join("."));
    let dotted = all(package, 3).map(dotted).collect::<Option<_>>()?;
    let types = all(package, 5).map(ty).collect::<Option<_>>()?;
    let mut reader = Reader::default();
    let modules = all(package, 1).map(|b| reader.module(b)).collect::<Option<_>>()?;
    Some(Package { strings, dotted, types, modules, exprs: reader.exprs })
}
