//! Lowering of definitions: values, and the functions that templates, choices, interfaces and exceptions become.

use super::context::{HIDDEN, Lowering, Task, count, ill_typed};
use crate::{
    code::{ArmPattern, ChoiceCode, Code, GlobalRef, Op, StructShape, Wanted},
    registry::{Key, Loaded, Registry},
    run::Stop,
};
use base::{Identifier, Name};
use lf::{Choice, ExprId, Interface, Module, NameId, Template, TemplateKey};
use std::sync::Arc;

/// Lowers one definition. Asks for packages that it mentions and nobody has given.
pub(crate) fn lower(registry: &Registry, loaded: &Loaded, key: Key) -> Result<Code, Stop> {
    let mut lowering = Lowering::new(registry, loaded);
    lowering.begin(&[]);
    lowering.definition(key).ok_or_else(|| ill_typed("a definition is missing"))??;
    lowering.finish();
    Ok(lowering.code)
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("32-bit numbers fit a usize")
}

impl<'a> Lowering<'a> {
    fn module(&self, m: u32) -> Option<&'a Module> {
        self.loaded.package.modules().get(at(m))
    }

    fn template_at(&self, m: u32, t: u32) -> Option<(Identifier, &'a Template)> {
        let module = self.module(m)?;
        let template = module.templates.get(at(t))?;
        Some((self.loaded.package.identifier(&module.name, &template.name), template))
    }

    fn interface_at(&self, m: u32, i: u32) -> Option<(Identifier, &'a Interface)> {
        let module = self.module(m)?;
        let interface = module.interfaces.get(at(i))?;
        Some((self.loaded.package.identifier(&module.name, &interface.name), interface))
    }

    /// A method or view of a template: the variable for the contract, and what it is.
    fn implementation(&self, key: Key) -> Option<(NameId, ExprId)> {
        match key {
            Key::View(m, t, i) => {
                let template = self.template_at(m, t)?.1;
                Some((template.param, template.implements.get(at(i))?.view))
            }
            Key::Method(m, t, i, n) => {
                let template = self.template_at(m, t)?.1;
                Some((template.param, template.implements.get(at(i))?.methods.get(at(n))?.1))
            }
            Key::CoView(m, i, c) => {
                let interface = self.interface_at(m, i)?.1;
                Some((interface.param, interface.co_implements.get(at(c))?.view))
            }
            Key::CoMethod(m, i, c, n) => {
                let interface = self.interface_at(m, i)?.1;
                Some((interface.param, interface.co_implements.get(at(c))?.methods.get(at(n))?.1))
            }
            _ => None,
        }
    }

    /// `None` if the numbers point nowhere.
    fn definition(&mut self, key: Key) -> Option<Result<(), Stop>> {
        match key {
            Key::Value(m, d) => {
                let body = self.module(m)?.values.get(at(d))?.body;
                self.plan([Task::Expr(body, true)]);
                Some(self.work())
            }
            Key::Message(m, e) => {
                let message = self.module(m)?.exceptions.get(at(e))?.message;
                self.plan([Task::Expr(message, true)]);
                Some(self.work())
            }
            Key::Create(m, t) => {
                let info = self.loaded.global(Key::Info(m, t))?;
                self.function(2);
                let ops = [Op::Local(1), Op::Local(1), Op::Global(info), Op::Call(1), Op::Create];
                ops.into_iter().for_each(|op| self.emit(op));
                self.close();
                Some(Ok(()))
            }
            Key::Info(m, t) => {
                let (id, template) = self.template_at(m, t)?;
                Some(self.info(id, template))
            }
            Key::Signatories(m, t) => {
                let template = self.template_at(m, t)?.1;
                Some(self.of_contract(template.param, template.signatories))
            }
            Key::Observers(m, t) => {
                let template = self.template_at(m, t)?.1;
                Some(self.of_contract(template.param, template.observers))
            }
            Key::View(..) | Key::CoView(..) | Key::Method(..) | Key::CoMethod(..) => {
                let (param, body) = self.implementation(key)?;
                Some(self.of_contract(param, body))
            }
            Key::Fetch(m, t) => {
                let id = self.template_at(m, t)?.0;
                self.fetch(id, false);
                Some(Ok(()))
            }
            Key::Find(m, t) | Key::FetchFound(m, t) | Key::Lookup(m, t) | Key::Query(m, t) | Key::Gather(m, t) => {
                let (id, template) = self.template_at(m, t)?;
                let gather = self.loaded.global(Key::Gather(m, t))?;
                Some(match key {
                    Key::Gather(..) => self.gather(gather, id),
                    Key::Query(..) => self.query(gather, id, template.key.as_ref()?),
                    _ => self.by_key(key, id, template.key.as_ref()?),
                })
            }
            Key::FetchInterface(m, i) => {
                let id = self.interface_at(m, i)?.0;
                self.fetch(id, true);
                Some(Ok(()))
            }
            Key::Choice(m, t, c) => {
                let (id, template) = self.template_at(m, t)?;
                Some(self.choice(id, template.param, template.choices.get(at(c))?, false))
            }
            Key::InterfaceChoice(m, i, c) => {
                let (id, interface) = self.interface_at(m, i)?;
                Some(self.choice(id, interface.param, interface.choices.get(at(c))?, true))
            }
        }
    }

    /// Begins a function whose parameters have no names.
    fn function(&mut self, arity: usize) {
        self.begin(&vec![HIDDEN; arity]);
    }

    /// Ends the function and the definition that consists of it.
    fn close(&mut self) {
        self.end(true);
        self.finish();
        self.end(true);
    }

    /// `\contract -> expression`.
    fn of_contract(&mut self, param: NameId, body: ExprId) -> Result<(), Stop> {
        self.begin(&[param]);
        self.plan([Task::Expr(body, true)]);
        self.work()?;
        self.finish();
        self.end(true);
        Ok(())
    }

    fn info(&mut self, id: Identifier, template: &Template) -> Result<(), Stop> {
        let id = self.add_id(id);
        self.begin(&[template.param]);
        let mut tasks = Vec::new();
        if let Some(precondition) = template.precondition {
            tasks.extend([Task::Expr(precondition, false), Task::Op(Op::Precondition(id))]);
        }
        tasks.extend([Task::Expr(template.signatories, false), Task::Expr(template.observers, false)]);
        let mut fields = 2;
        if let Some(key) = &template.key {
            tasks.extend([Task::Expr(key.body, false), Task::Name(HIDDEN), Task::Variable(HIDDEN, false)]);
            tasks.extend([Task::Expr(key.maintainers, false), Task::Call(1, false)]);
            fields = 4;
        }
        tasks.push(Task::Op(Op::Record { id, fields }));
        self.plan(tasks);
        self.work()?;
        self.close();
        Ok(())
    }

    /// The contract's argument is pushed and its stakeholders are verified if that has not been done.
    fn contract(&mut self, slot: u32, id: u32, interface: bool) {
        self.emit(Op::Contract { slot, id, interface });
        self.emit_skipped(Op::Call(1));
        self.emit_skipped(Op::Verify { slot });
    }

    fn fetch(&mut self, id: Identifier, interface: bool) {
        let id = self.add_id(id);
        self.function(2);
        self.contract(1, id, interface);
        self.emit(Op::Fetch { slot: 1, id, interface });
        self.close();
    }

    /// The key is in slot 1; pushes what is found.
    fn found(&mut self, template: u32, key: &TemplateKey, wanted: Wanted) -> Result<(), Stop> {
        self.plan([Task::Op(Op::Local(1)), Task::Expr(key.maintainers, false), Task::Call(1, false)]);
        self.work()?;
        self.emit(Op::ByKey { slot: 1, template, wanted });
        Ok(())
    }

    fn by_key(&mut self, kind: Key, id: Identifier, key: &TemplateKey) -> Result<(), Stop> {
        // Slots: 1 key, 0 token, 2 what is found.
        let template = self.add_id(id);
        self.function(2);
        self.found(template, key, if matches!(kind, Key::Lookup(..)) { Wanted::Any } else { Wanted::One })?;
        if matches!(kind, Key::FetchFound(..)) {
            self.contract(2, template, false);
            self.emit(Op::Fetch { slot: 2, id: template, interface: false });
            self.with_id(2);
        }
        self.close();
        Ok(())
    }

    /// The contract on top becomes a pair with its id, which is in the slot; in LF 1 a struct.
    fn with_id(&mut self, slot: u32) {
        self.emit(Op::Local(slot));
        if !self.code.v1 {
            let id = self.add_id(lf::tuple2());
            return self.emit(Op::Record { id, fields: 2 });
        }
        let labels = ["contract", "contractId"].map(|label| Name::new(label).expect("a constant name is valid"));
        self.code.structs.push(StructShape { labels: labels.into(), order: vec![1, 0] });
        self.emit(Op::Struct(count(self.code.structs.len() - 1)));
    }

    fn query(&mut self, gather: GlobalRef, id: Identifier, key: &TemplateKey) -> Result<(), Stop> {
        // Slots: 2 how many, 1 key, 0 token, 3 their ids.
        let template = self.add_id(id);
        self.function(3);
        self.found(template, key, Wanted::Several(2))?;
        self.emit(Op::Global(gather));
        self.emit(Op::TailCall(1));
        self.close();
        Ok(())
    }

    fn gather(&mut self, itself: GlobalRef, id: Identifier) -> Result<(), Stop> {
        // Slots: 0 ids, 1 the first one, 2 the others, 3 the first contract.
        let template = self.add_id(id);
        self.function(1);
        self.plan([
            Task::Op(Op::Local(0)),
            Task::Match(vec![ArmPattern::Nil, ArmPattern::Cons]),
            Task::Arm { arm: 0, binders: Vec::new() },
            Task::Op(Op::Local(0)),
            Task::EndArm { binders: 0, tail: false },
            Task::Arm { arm: 1, binders: vec![HIDDEN; 2] },
        ]);
        self.work()?;
        self.contract(1, template, false);
        self.with_id(1);
        let ops = [Op::Local(2), Op::Global(itself), Op::Call(1), Op::Reverse(2), Op::Cons(1)];
        ops.into_iter().for_each(|op| self.emit(op));
        self.plan([Task::EndArm { binders: 2, tail: false }, Task::EndMatch]);
        self.work()?;
        self.close();
        Ok(())
    }

    fn choice(&mut self, owner: Identifier, param: NameId, choice: &Choice, is_interface: bool) -> Result<(), Stop> {
        // Slots: 2 contract id, 1 argument, 0 token, 3 the contract.
        let id = self.add_id(owner.clone());
        let (name, consuming) = (choice.name.clone(), choice.consuming);
        self.code.choices.push(ChoiceCode { owner: Arc::new(owner), is_interface, name, consuming });
        let number = count(self.code.choices.len() - 1);
        self.function(3);
        self.contract(2, id, is_interface);
        self.bind_slot(param, 3);
        self.bind_slot(choice.arg_binder.0, 1);
        self.emit(Op::PreventBegin);
        self.plan([Task::Expr(choice.controllers, false), Task::Expr(choice.observers, false)]);
        self.work()?;
        self.emit(Op::PreventEnd);
        self.emit(Op::Begin { choice: number, id: 2, argument: 1 });
        self.bind_slot(choice.self_binder, 2);
        self.plan([Task::Run(choice.update, false)]);
        self.work()?;
        self.emit(Op::End);
        self.close();
        Ok(())
    }
}
