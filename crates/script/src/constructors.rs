//! Questions of the older library: constructors of one type, each with a record that holds its continuation.

use crate::{
    RunError, Submission,
    error::malformed,
    request::{Asked, Kind, Reader, Request},
};
use engine::Term;

/// The question that a step of a script is.
pub(crate) fn read(reader: Reader<'_>, step: &Term) -> Result<Asked, RunError> {
    let (name, q) = step.as_constructor().ok_or_else(|| malformed("a question"))?;
    let request = request(reader, name.as_str(), &q)?;
    // Those without continuation end in another way: exceptions, and commands, which have continuations of their own.
    let resume = reader.engine.field(&q, "continue").unwrap_or_else(Term::unit);
    let locations = reader.engine.field(&q, "locations").map(|list| reader.locations(&list)).unwrap_or_default();
    Ok(Asked { request, resume, locations })
}

fn request(r: Reader<'_>, name: &str, q: &Term) -> Result<Request, RunError> {
    Ok(match name {
        "Submit" => submit(r, q, Kind::Results)?,
        "SubmitMustFail" => submit(r, q, Kind::MustFail)?,
        "SubmitTree" => submit(r, q, Kind::Tree)?,
        "Query" => Request::Query(r.parties(q, "parties")?, r.ty(q, "tplId")?),
        "QueryContractId" => {
            Request::QueryContractId(r.parties(q, "parties")?, r.ty(q, "tplId")?, r.contract_id(q, "cid")?)
        }
        "QueryContractKey" => Request::QueryKey(r.parties(q, "parties")?, r.ty(q, "tplId")?, r.key(q, "key")?),
        "QueryInterface" => Request::QueryInterface(r.parties(q, "parties")?, r.ty(q, "interfaceId")?),
        "QueryInterfaceContractId" => {
            let (parties, interface) = (r.parties(q, "parties")?, r.ty(q, "interfaceId")?);
            Request::QueryInterfaceContractId(parties, interface, r.contract_id(q, "cid")?)
        }
        "AllocParty" => Request::AllocateParty { name: r.text(q, "displayName")?, hint: r.text(q, "idHint")? },
        "ListKnownParties" => Request::Parties,
        "GetTime" => Request::Time,
        "SetTime" => Request::SetTime(r.field(q, "time")?.as_timestamp().ok_or_else(|| malformed("a time"))?),
        "Sleep" => Request::Sleep(r.duration(q, "duration")?),
        "Catch" => {
            let next = r.engine.field(q, "continue");
            Request::CatchWith { act: r.field(q, "act")?, handle: r.field(q, "handle")?, next }
        }
        "QueryDisclosure" => Request::QueryDisclosure(r.parties(q, "parties")?, r.contract_id(q, "cid")?),
        "Throw" => Request::Throw(r.field(q, "exc")?),
        other => return r.users(other, q),
    })
}

fn submit(r: Reader<'_>, q: &Term, kind: Kind) -> Result<Request, RunError> {
    // Versions before explicit disclosure do not have the field.
    let disclosed = match r.engine.field(q, "disclosures") {
        Some(all) => r.blobs(&all)?,
        None => Vec::new(),
    };
    let submission = Submission {
        act_as: r.some_parties(q, "actAs")?,
        read_as: r.parties(q, "readAs")?,
        commands: Vec::new(),
        preferences: Vec::new(),
        disclosed,
    };
    // What is around the commands is a wrapper, too.
    let commands = r.unwrap(&r.field(q, "commands")?)?;
    Ok(Request::SubmitCommands { kind, submission, commands })
}
