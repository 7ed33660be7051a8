//! The bytes of view leaves, and the well-formedness that is checked on reading (spec/protocol.md §2.1).

use super::{
    key::KeyState,
    leaf::{
        get_hash, get_list, get_option, get_parties, get_salt, get_set, put_list, put_option, put_parties, put_salt,
    },
    view::{Action, CreatedContract, InputContract, Quorum, ViewCommonData, ViewParticipantData},
};
use crate::Contract;
use base::{ContractId, Hash, Identifier, PartyId};
use std::collections::{BTreeMap, BTreeSet};
use transaction::{
    DecodeError, Value,
    codec::{Reader, Writer},
};

const CREATE: u8 = 0;
const EXERCISE: u8 = 1;
const FETCH: u8 = 2;

pub(super) fn common(common: &ViewCommonData, w: &mut Writer) {
    put_salt(w, common.salt);
    put_parties(w, &common.informees);
    put_list(w, &common.quorums, |w, quorum| {
        w.count(quorum.confirmers.len());
        for (party, weight) in &quorum.confirmers {
            w.text(party.as_str());
            w.unsigned((*weight).into());
        }
        w.unsigned(quorum.threshold.into());
    });
}

pub(super) fn read_common(r: &mut Reader<'_>) -> Result<ViewCommonData, DecodeError> {
    let salt = get_salt(r)?;
    let informees = get_parties(r)?;
    let quorums = get_list(r, read_quorum)?;
    if quorums.iter().any(|q| q.confirmers.keys().any(|party| !informees.contains(party))) {
        return Err(r.invalid("a confirmer is no informee"));
    }
    if quorums.iter().enumerate().any(|(n, q)| quorums[..n].contains(q)) {
        return Err(r.invalid("a quorum is there twice"));
    }
    Ok(ViewCommonData { salt, informees, quorums })
}

fn read_quorum(r: &mut Reader<'_>) -> Result<Quorum, DecodeError> {
    let list = get_list(r, |r| Ok((r.parsed::<PartyId>()?, positive(r)?)))?;
    if list.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(r.invalid("the confirmers of a quorum do not ascend"));
    }
    Ok(Quorum { confirmers: list.into_iter().collect(), threshold: positive(r)? })
}

fn positive(r: &mut Reader<'_>) -> Result<u32, DecodeError> {
    match u32::try_from(r.unsigned()?) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(r.invalid("a weight or threshold is zero or too large")),
    }
}

pub(super) fn data(data: &ViewParticipantData, w: &mut Writer) {
    put_salt(w, data.salt);
    put_list(w, data.inputs.values().collect::<Vec<_>>().iter(), |w, input| {
        input.contract.write(w);
        w.flag(input.consumed);
    });
    put_list(w, &data.created, |w, created| {
        created.contract.write(w);
        w.flag(created.consumed);
        w.flag(created.rolled_back);
    });
    put_list(w, &data.archived_from_subviews, |w, id| w.bytes(id.as_bytes()));
    put_list(w, data.keys.iter().collect::<Vec<_>>().iter(), |w, (hash, state)| {
        w.raw(hash.as_bytes());
        put_parties(w, &state.maintainers);
        put_list(w, &state.contracts, |w, id| w.bytes(id.as_bytes()));
        w.flag(state.exhaustive);
    });
    action(&data.action, w);
    w.flag(data.rolled_back);
}

fn action(action: &Action, w: &mut Writer) {
    match action {
        Action::Create { seed } => {
            w.byte(CREATE);
            w.raw(seed.as_bytes());
        }
        Action::Exercise { seed, contract, template, interface, choice, argument, actors, by_key } => {
            w.byte(EXERCISE);
            w.raw(seed.as_bytes());
            w.bytes(contract.as_bytes());
            w.text(&template.to_string());
            put_option(w, interface.as_ref(), |w, id| w.text(&id.to_string()));
            w.text(choice.as_str());
            argument.write(w);
            put_parties(w, actors);
            w.flag(*by_key);
        }
        Action::Fetch { contract, template, interface, actors, by_key } => {
            w.byte(FETCH);
            w.bytes(contract.as_bytes());
            w.text(&template.to_string());
            put_option(w, interface.as_ref(), |w, id| w.text(&id.to_string()));
            put_parties(w, actors);
            w.flag(*by_key);
        }
    }
}

pub(super) fn read_data(r: &mut Reader<'_>) -> Result<ViewParticipantData, DecodeError> {
    let salt = get_salt(r)?;
    let inputs = get_list(r, |r| Ok(InputContract { contract: Contract::read(r)?, consumed: r.flag()? }))?;
    if inputs.windows(2).any(|pair| pair[0].contract.id >= pair[1].contract.id) {
        return Err(r.invalid("the input contracts do not ascend"));
    }
    let inputs = inputs.into_iter().map(|input| (input.contract.id.clone(), input)).collect();
    let created = get_list(r, |r| {
        Ok(CreatedContract { contract: Contract::read(r)?, consumed: r.flag()?, rolled_back: r.flag()? })
    })?;
    let archived_from_subviews = get_set(r, contract_id)?;
    let keys = get_list(r, read_key)?;
    if keys.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(r.invalid("the keys do not ascend"));
    }
    let (keys, action) = (keys.into_iter().collect(), read_action(r)?);
    let rolled_back = r.flag()?;
    let data = ViewParticipantData { salt, inputs, created, archived_from_subviews, keys, action, rolled_back };
    check(&data).map_err(|why| r.invalid(why))?;
    Ok(data)
}

fn read_key(r: &mut Reader<'_>) -> Result<(Hash, KeyState), DecodeError> {
    let (hash, maintainers) = (get_hash(r)?, get_parties(r)?);
    let state = KeyState { maintainers, contracts: get_list(r, contract_id)?, exhaustive: r.flag()? };
    if state.maintainers.is_empty() {
        return Err(r.invalid("a key has no maintainers"));
    }
    if state.contracts.is_empty() && !state.exhaustive {
        return Err(r.invalid("nothing is said of a key"));
    }
    if state.contracts.iter().collect::<BTreeSet<_>>().len() < state.contracts.len() {
        return Err(r.invalid("a key has a contract twice"));
    }
    Ok((hash, state))
}

fn read_action(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
    match r.byte()? {
        CREATE => Ok(Action::Create { seed: get_hash(r)? }),
        EXERCISE => Ok(Action::Exercise {
            seed: get_hash(r)?,
            contract: contract_id(r)?,
            template: r.parsed()?,
            interface: get_option(r, |r| r.parsed::<Identifier>())?,
            choice: r.parsed()?,
            argument: Value::read(r)?,
            actors: get_parties(r)?,
            by_key: r.flag()?,
        }),
        FETCH => Ok(Action::Fetch {
            contract: contract_id(r)?,
            template: r.parsed()?,
            interface: get_option(r, |r| r.parsed::<Identifier>())?,
            actors: get_parties(r)?,
            by_key: r.flag()?,
        }),
        other => Err(r.invalid(format_args!("{other} is no kind of action"))),
    }
}

fn contract_id(r: &mut Reader<'_>) -> Result<ContractId, DecodeError> {
    let bytes = r.bytes()?;
    ContractId::new(bytes).map_err(|e| r.invalid(e))
}

/// What the parts of a view's data say about each other must be possible.
fn check(data: &ViewParticipantData) -> Result<(), &'static str> {
    let created: BTreeSet<_> = data.created.iter().map(|c| &c.contract.id).collect();
    if created.len() < data.created.len() {
        return Err("a contract is created twice");
    }
    let known = |map: &BTreeMap<ContractId, InputContract>, id: &ContractId| map.contains_key(id);
    if created.iter().any(|id| known(&data.inputs, id)) {
        return Err("a contract is created and used as an input");
    }
    if data.archived_from_subviews.iter().any(|id| created.contains(id) || known(&data.inputs, id)) {
        return Err("a contract of a subview is an input or created in the core");
    }
    match &data.action {
        Action::Create { .. } if data.created.len() == 1 => Ok(()),
        Action::Create { .. } => Err("a create does not create exactly one contract"),
        Action::Exercise { contract, .. } | Action::Fetch { contract, .. } if known(&data.inputs, contract) => Ok(()),
        Action::Exercise { .. } | Action::Fetch { .. } => Err("the contract of the root action is no input"),
    }
}
