//! Types as numbers: equal types have equal numbers, whatever their variables are called. Synonyms are gone here.

use crate::{BuiltinType, Kind};
use base::Name;
use std::{collections::BTreeMap, fmt::Write as _};

/// A kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct K(u32);

/// A type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Ty(u32);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum KindNode {
    Star,
    Nat,
    Arrow(K, K),
}

/// What a type is. Variables of an enclosing quantifier are counted from the innermost one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Node {
    /// A variable in scope, by its own number.
    Var(u32),
    Bound(u32, K),
    /// By its number among the constructors.
    Con(u32),
    Builtin(BuiltinType),
    App(Ty, Ty),
    Forall(K, Ty),
    /// In order of the names.
    Struct(Box<[(Name, Ty)]>),
    Nat(u8),
}

#[derive(Clone, Copy, Debug)]
struct Facts {
    kind: K,
    /// Bound variables from here on are bound outside of it.
    dangling: u32,
    /// Whether it has variables in scope.
    open: bool,
}

/// All kinds and types seen.
#[derive(Debug)]
pub(super) struct Types {
    kinds: Vec<KindNode>,
    kind_ids: BTreeMap<KindNode, K>,
    nodes: Vec<(Node, Facts)>,
    ids: BTreeMap<Node, Ty>,
    /// Kinds of variables in scope.
    vars: Vec<K>,
    /// Kinds of constructors.
    cons: Vec<K>,
}

pub(super) const STAR: K = K(0);
pub(super) const NAT: K = K(1);

fn number(length: usize) -> u32 {
    u32::try_from(length).expect("the checker's budget ends before 2^32 types")
}

impl Types {
    pub(super) fn new() -> Self {
        let mut types = Self {
            kinds: Vec::new(),
            kind_ids: BTreeMap::new(),
            nodes: Vec::new(),
            ids: BTreeMap::new(),
            vars: Vec::new(),
            cons: Vec::new(),
        };
        types.kind(KindNode::Star);
        types.kind(KindNode::Nat);
        types
    }

    pub(super) fn kind(&mut self, node: KindNode) -> K {
        *self.kind_ids.entry(node).or_insert_with(|| {
            self.kinds.push(node);
            K(number(self.kinds.len() - 1))
        })
    }

    pub(super) fn kind_node(&self, kind: K) -> KindNode {
        self.kinds[kind.0 as usize]
    }

    /// A kind that takes parameters and gives `result`.
    pub(super) fn kind_arrow(&mut self, params: &[K], result: K) -> K {
        params.iter().rev().fold(result, |result, param| self.kind(KindNode::Arrow(*param, result)))
    }

    pub(super) fn node(&self, ty: Ty) -> &Node {
        &self.nodes[ty.0 as usize].0
    }

    fn facts(&self, ty: Ty) -> Facts {
        self.nodes[ty.0 as usize].1
    }

    pub(super) fn kind_of(&self, ty: Ty) -> K {
        self.facts(ty).kind
    }

    /// Whether it means the same wherever it stands.
    pub(super) fn is_closed(&self, ty: Ty) -> bool {
        let facts = self.facts(ty);
        !facts.open && facts.dangling == 0
    }

    fn add(&mut self, node: Node, facts: Facts) -> Ty {
        if let Some(ty) = self.ids.get(&node) {
            return *ty;
        }
        let ty = Ty(number(self.nodes.len()));
        self.nodes.push((node.clone(), facts));
        self.ids.insert(node, ty);
        ty
    }

    pub(super) fn new_var(&mut self, kind: K) -> u32 {
        self.vars.push(kind);
        number(self.vars.len() - 1)
    }

    pub(super) fn new_con(&mut self, kind: K) -> u32 {
        self.cons.push(kind);
        number(self.cons.len() - 1)
    }

    pub(super) fn var(&mut self, var: u32) -> Ty {
        let kind = self.vars[var as usize];
        self.add(Node::Var(var), Facts { kind, dangling: 0, open: true })
    }

    fn bound(&mut self, index: u32, kind: K) -> Ty {
        self.add(Node::Bound(index, kind), Facts { kind, dangling: index + 1, open: false })
    }

    pub(super) fn con(&mut self, con: u32) -> Ty {
        let kind = self.cons[con as usize];
        self.add(Node::Con(con), Facts { kind, dangling: 0, open: false })
    }

    pub(super) fn nat(&mut self, nat: u8) -> Ty {
        self.add(Node::Nat(nat), Facts { kind: NAT, dangling: 0, open: false })
    }

    pub(super) fn builtin(&mut self, builtin: BuiltinType) -> Ty {
        use BuiltinType as B;
        let params: &[K] = match builtin {
            B::Unit
            | B::Bool
            | B::Int64
            | B::Date
            | B::Timestamp
            | B::Party
            | B::Text
            | B::Any
            | B::AnyException
            | B::TypeRep
            | B::FailureCategory
            | B::BigNumeric
            | B::RoundingMode => &[],
            B::Numeric => &[NAT],
            B::ContractId | B::Optional | B::List | B::Update | B::TextMap | B::Scenario => &[STAR],
            B::GenMap | B::Arrow => &[STAR, STAR],
        };
        let kind = self.kind_arrow(params, STAR);
        self.add(Node::Builtin(builtin), Facts { kind, dangling: 0, open: false })
    }

    /// An application, if the kinds fit; otherwise what is wrong.
    pub(super) fn app(&mut self, function: Ty, argument: Ty) -> Result<Ty, String> {
        let (f, a) = (self.facts(function), self.facts(argument));
        let KindNode::Arrow(param, kind) = self.kind_node(f.kind) else {
            return Err(format!("{} takes no type", self.show(function)));
        };
        if param != a.kind {
            let (wanted, found) = (self.show_kind(param), self.show_kind(a.kind));
            return Err(format!(
                "{} takes a type of kind {wanted}, but {} has kind {found}",
                self.show(function),
                self.show(argument)
            ));
        }
        let facts = Facts { kind, dangling: f.dangling.max(a.dangling), open: f.open || a.open };
        Ok(self.add(Node::App(function, argument), facts))
    }

    /// An application of a type of the language that is known to fit.
    pub(super) fn apply(&mut self, builtin: BuiltinType, arguments: &[Ty]) -> Ty {
        let head = self.builtin(builtin);
        arguments.iter().fold(head, |f, a| self.app(f, *a).expect("the checker applies its own types well"))
    }

    pub(super) fn arrow(&mut self, from: Ty, to: Ty) -> Ty {
        self.apply(BuiltinType::Arrow, &[from, to])
    }

    fn forall(&mut self, kind: K, body: Ty) -> Ty {
        let inner = self.facts(body);
        let facts = Facts { kind: STAR, dangling: inner.dangling.saturating_sub(1), open: inner.open };
        self.add(Node::Forall(kind, body), facts)
    }

    /// A struct of types of values, in order of the names.
    pub(super) fn structure(&mut self, fields: Box<[(Name, Ty)]>) -> Ty {
        let dangling = fields.iter().map(|(_, ty)| self.facts(*ty).dangling).max().unwrap_or(0);
        let open = fields.iter().any(|(_, ty)| self.facts(*ty).open);
        self.add(Node::Struct(fields), Facts { kind: STAR, dangling, open })
    }

    /// `forall vars. body`.
    pub(super) fn generalize(&mut self, vars: &[u32], body: Ty) -> Ty {
        let closed = self.close(body, vars);
        vars.iter().rev().fold(closed, |body, var| self.forall(self.vars[*var as usize], body))
    }

    /// A polymorphic type applied to types, as many at once as it has quantifiers in a row; the rest is given back.
    pub(super) fn instantiate<'t>(&mut self, ty: Ty, arguments: &'t [Ty]) -> Result<(Ty, &'t [Ty]), Ty> {
        let (mut body, mut count) = (ty, 0);
        while let (Node::Forall(kind, inner), Some(argument)) = (self.node(body), arguments.get(count)) {
            if self.kind_of(*argument) != *kind {
                return Err(*argument);
            }
            body = *inner;
            count += 1;
        }
        let (now, later) = arguments.split_at(count);
        Ok((self.open(body, now), later))
    }

    /// Makes variables in scope bound ones, the last of them the innermost.
    pub(super) fn close(&mut self, body: Ty, vars: &[u32]) -> Ty {
        let count = number(vars.len());
        self.rewrite(
            body,
            |facts, _| facts.open,
            |types, node, depth| match node {
                Node::Var(var) => {
                    let place = vars.iter().position(|v| v == var)?;
                    let kind = types.vars[*var as usize];
                    Some(types.bound(depth + count - 1 - number(place), kind))
                }
                _ => None,
            },
        )
    }

    /// Puts types in the place of bound variables, the last of them in that of the innermost.
    pub(super) fn open(&mut self, body: Ty, arguments: &[Ty]) -> Ty {
        let count = number(arguments.len());
        self.rewrite(
            body,
            |facts, depth| facts.dangling > depth,
            |_, node, depth| match node {
                Node::Bound(index, _) => {
                    let place = (count + depth).checked_sub(index + 1)?;
                    arguments.get(place as usize).copied()
                }
                _ => None,
            },
        )
    }

    /// Replaces leaves; `depth` counts the quantifiers around them. Parts without interest stay as they are.
    fn rewrite(
        &mut self,
        root: Ty,
        interesting: impl Fn(Facts, u32) -> bool,
        replace: impl Fn(&mut Self, &Node, u32) -> Option<Ty>,
    ) -> Ty {
        let mut done: BTreeMap<(Ty, u32), Ty> = BTreeMap::new();
        let mut open = vec![(root, 0_u32, false)];
        while let Some((ty, depth, parts_done)) = open.pop() {
            if done.contains_key(&(ty, depth)) {
                continue;
            }
            if !interesting(self.facts(ty), depth) {
                done.insert((ty, depth), ty);
                continue;
            }
            let node = self.node(ty).clone();
            let inner = depth + u32::from(matches!(node, Node::Forall(..)));
            if !parts_done {
                open.push((ty, depth, true));
                match &node {
                    Node::App(f, a) => open.extend([(*f, depth, false), (*a, depth, false)]),
                    Node::Forall(_, body) => open.push((*body, inner, false)),
                    Node::Struct(fields) => open.extend(fields.iter().map(|(_, ty)| (*ty, depth, false))),
                    _ => {}
                }
                continue;
            }
            let new = match &node {
                Node::App(f, a) => {
                    let (f, a) = (done[&(*f, depth)], done[&(*a, depth)]);
                    self.app(f, a).expect("a variable is replaced by a type of its kind")
                }
                Node::Forall(kind, body) => self.forall(*kind, done[&(*body, inner)]),
                Node::Struct(fields) => {
                    let fields = fields.iter().map(|(name, ty)| (name.clone(), done[&(*ty, depth)])).collect();
                    self.structure(fields)
                }
                leaf => replace(self, leaf, depth).unwrap_or(ty),
            };
            done.insert((ty, depth), new);
        }
        done[&(root, 0)]
    }

    /// The constructor of an application, and its arguments.
    pub(super) fn head(&self, ty: Ty) -> (Ty, Vec<Ty>) {
        let (mut head, mut arguments) = (ty, Vec::new());
        while let Node::App(f, a) = self.node(head) {
            arguments.push(*a);
            head = *f;
        }
        arguments.reverse();
        (head, arguments)
    }

    /// The arguments of a type of the language.
    pub(super) fn as_builtin<const N: usize>(&self, ty: Ty, builtin: BuiltinType) -> Option<[Ty; N]> {
        let (head, arguments) = self.head(ty);
        if *self.node(head) == Node::Builtin(builtin) { arguments.try_into().ok() } else { None }
    }

    pub(super) fn show_kind(&self, kind: K) -> String {
        let mut open = vec![Err(kind)];
        let mut out = String::new();
        while let Some(part) = open.pop() {
            if out.len() > 200 {
                out.push('…');
                break;
            }
            match part {
                Ok(text) => out.push_str(text),
                Err(kind) => match self.kind_node(kind) {
                    KindNode::Star => out.push('*'),
                    KindNode::Nat => out.push_str("nat"),
                    KindNode::Arrow(a, b) => open.extend([Ok(")"), Err(b), Ok(" -> "), Err(a), Ok("(")]),
                },
            }
        }
        out
    }

    /// A type for an error message; long ones are cut.
    pub(super) fn show(&self, ty: Ty) -> String {
        let mut open = vec![Err(ty)];
        let mut out = String::new();
        while let Some(part) = open.pop() {
            if out.len() > 400 {
                out.push('…');
                break;
            }
            let ty = match part {
                Ok(text) => {
                    out.push_str(text);
                    continue;
                }
                Err(ty) => ty,
            };
            match self.node(ty) {
                Node::Var(var) => drop(write!(out, "a{var}")),
                Node::Bound(index, _) => drop(write!(out, "b{index}")),
                Node::Con(con) => drop(write!(out, "#{con}")),
                Node::Builtin(builtin) => out.push_str(builtin.text()),
                Node::Nat(nat) => drop(write!(out, "{nat}")),
                Node::App(f, a) => open.extend([Ok(")"), Err(*a), Ok(" "), Err(*f), Ok("(")]),
                Node::Forall(_, body) => open.extend([Ok(")"), Err(*body), Ok("(forall. ")]),
                Node::Struct(fields) => {
                    open.push(Ok(">"));
                    fields
                        .iter()
                        .rev()
                        .for_each(|(name, ty)| open.extend([Ok(", "), Err(*ty), Ok(": "), Ok(name.as_str())]));
                    open.push(Ok("<"));
                }
            }
        }
        out
    }
}

/// The kinds of a package as kinds of the checker.
pub(super) fn kind_of_arena(types: &mut Types, kinds: &[Kind], root: crate::KindId) -> K {
    let mut done: BTreeMap<usize, K> = BTreeMap::new();
    let parts = |i: usize, part: &mut dyn FnMut(usize)| {
        if let Kind::Arrow(a, b) = &kinds[i] {
            part(a.index());
            part(b.index());
        }
    };
    for i in crate::walk::parts_first(root.index(), |_| false, parts) {
        let kind = match &kinds[i] {
            Kind::Star => STAR,
            Kind::Nat => NAT,
            Kind::Arrow(a, b) => types.kind(KindNode::Arrow(done[&a.index()], done[&b.index()])),
        };
        done.insert(i, kind);
    }
    done[&root.index()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_types_are_one_whatever_their_variables() {
        let mut types = Types::new();
        let identity = |types: &mut Types| {
            let var = types.new_var(STAR);
            let a = types.var(var);
            let arrow = types.arrow(a, a);
            types.generalize(&[var], arrow)
        };
        let (one, two) = (identity(&mut types), identity(&mut types));
        assert_eq!(one, two);
        let text = types.builtin(BuiltinType::Text);
        let to_itself = types.arrow(text, text);
        assert_eq!(types.instantiate(one, &[text]), Ok((to_itself, &[][..])));
        let more = types.arrow(one, one);
        assert_eq!(types.instantiate(one, &[one, text]), Ok((more, &[text][..])));
        assert!(types.is_closed(one));
        let list = types.builtin(BuiltinType::List);
        assert_eq!(types.instantiate(one, &[list]), Err(list));
        assert!(types.app(text, list).is_err());
        assert!(types.app(list, list).unwrap_err().contains("has kind (* -> *)"));
    }
}
