//! Case expressions: patterns fit what is looked at, bind what is in it, and cover all cases.

use super::{
    Fault, Rule,
    infer::{Infer, Task, mistyped},
    types::{Node, Ty},
};
use crate::{Alternative, BuiltinType as B, DataCons, NameId, Pattern, RefId};
use base::Identifier;
use std::collections::BTreeSet;

/// What the scrutinee can be.
enum Shape {
    Variant(u32, Vec<Ty>),
    Enum(u32),
    Unit,
    Bool,
    List(Ty, Ty),
    Optional(Ty),
    /// Only the default pattern fits.
    Opaque,
}

impl Shape {
    /// How many different patterns it takes to cover it.
    fn cases(&self, infer: &Infer<'_, '_>) -> usize {
        match self {
            Self::Variant(con, _) | Self::Enum(con) => match &infer.world.con(*con).data.cons {
                DataCons::Variant(all) => all.len(),
                DataCons::Enum(all) => all.len(),
                _ => 1,
            },
            Self::Unit | Self::Opaque => 1,
            Self::Bool | Self::List(..) | Self::Optional(_) => 2,
        }
    }
}

impl<'a> Infer<'_, 'a> {
    fn shape(&self, scrutinee: Ty) -> Shape {
        let types = &self.world.types;
        let (head, arguments) = types.head(scrutinee);
        match (types.node(head), &arguments[..]) {
            (Node::Con(con), _) => match &self.world.con(*con).data.cons {
                DataCons::Variant(_) => Shape::Variant(*con, arguments),
                DataCons::Enum(_) => Shape::Enum(*con),
                _ => Shape::Opaque,
            },
            (Node::Builtin(B::Unit), []) => Shape::Unit,
            (Node::Builtin(B::Bool), []) => Shape::Bool,
            (Node::Builtin(B::List), [item]) => Shape::List(*item, scrutinee),
            (Node::Builtin(B::Optional), [item]) => Shape::Optional(*item),
            _ => Shape::Opaque,
        }
    }

    pub(super) fn alternatives(&mut self, scrutinee: Ty, alternatives: &'a [Alternative]) -> Result<(), Fault> {
        let shape = self.shape(scrutinee);
        let (mut tasks, mut covered, mut all) = (Vec::new(), BTreeSet::new(), false);
        for (i, alternative) in alternatives.iter().enumerate() {
            let Some((case, binders)) = self.pattern(&shape, &alternative.pattern)? else {
                return Err(mistyped(format!("a pattern does not fit {}", self.world.show(scrutinee))));
            };
            match case {
                Some(case) => drop(covered.insert(case)),
                None => all = true,
            }
            let count = binders.len();
            tasks.extend(binders.into_iter().map(|(name, ty)| Task::Bind(name, ty)));
            tasks.extend([Task::Infer(alternative.body), Task::Unbind(count)]);
            tasks.extend((i > 0).then_some(Task::Same));
        }
        if alternatives.is_empty() {
            return Err(mistyped("a case has no alternatives"));
        }
        if !all && covered.len() < shape.cases(self) {
            let what = format!("a case on {} does not cover all of it", self.world.show(scrutinee));
            return Err(Fault { rule: Rule::Exhaustiveness, what });
        }
        self.plan(tasks);
        Ok(())
    }

    /// Which case a pattern takes (`None`: all), and what it binds; `None` if it does not fit.
    #[expect(clippy::type_complexity, reason = "used once")]
    fn pattern(
        &mut self,
        shape: &Shape,
        pattern: &Pattern,
    ) -> Result<Option<(Option<usize>, Vec<(NameId, Ty)>)>, Fault> {
        let plain = |case| Ok(Some((Some(case), Vec::new())));
        match (shape, pattern) {
            (_, Pattern::Default) => Ok(Some((None, Vec::new()))),
            (Shape::Variant(con, arguments), Pattern::Variant { con: named, constructor, binder }) => {
                if !self.is_con(*con, *named) {
                    return Ok(None);
                }
                let name = self.world.package.name(*constructor).clone();
                let types = self.fields_of(*con, arguments)?;
                let place = types.iter().position(|(n, _)| *n == name);
                let place = place.ok_or_else(|| mistyped(format!("there is no constructor {name}")))?;
                Ok(Some((Some(place), vec![(*binder, types[place].1)])))
            }
            (Shape::Enum(con), Pattern::Enum { con: named, constructor }) => {
                if !self.is_con(*con, *named) {
                    return Ok(None);
                }
                let place = self.enum_place(*con, *constructor)?;
                plain(place)
            }
            (Shape::Unit, Pattern::Unit) | (Shape::List(..), Pattern::Nil) | (Shape::Optional(_), Pattern::None) => {
                plain(0)
            }
            (Shape::Bool, Pattern::Bool(truth)) => plain(usize::from(*truth)),
            (Shape::List(item, list), Pattern::Cons { head, tail }) => {
                if head == tail {
                    return Err(mistyped("a pattern binds one name twice"));
                }
                Ok(Some((Some(1), vec![(*head, *item), (*tail, *list)])))
            }
            (Shape::Optional(item), Pattern::Some(name)) => Ok(Some((Some(1), vec![(*name, *item)]))),
            _ => Ok(None),
        }
    }

    fn is_con(&mut self, con: u32, named: RefId) -> bool {
        let id: &Identifier = self.world.reference(named);
        self.world.con(con).id == *id
    }

    fn enum_place(&self, con: u32, constructor: NameId) -> Result<usize, Fault> {
        let name = self.world.package.name(constructor);
        let con = self.world.con(con);
        let found = match &con.data.cons {
            DataCons::Enum(all) => all.iter().position(|n| n == name),
            _ => None,
        };
        found.ok_or_else(|| mistyped(format!("{} is no enum with {name}", con.id)))
    }

    pub(super) fn enum_con(&mut self, con: RefId, constructor: NameId) -> Result<Ty, Fault> {
        let id = self.world.reference(con);
        let con = self.world.con_named(id)?;
        self.enum_place(con, constructor)?;
        Ok(self.world.types.con(con))
    }
}
