//! Questions of the newer library: a name, a version, and a record.

use crate::{
    PackageVersionName, RunError, Submission,
    error::malformed,
    request::{Asked, Expected, Reader, Request, Submit},
};
use base::{PackageId, PackageName, PackageVersion};
use engine::{EngineError, Term};

/// The question that a step of a script is; its record is in a wrapper.
pub(crate) fn read(reader: Reader<'_>, step: &Term) -> Result<Asked, RunError> {
    let question = reader.unwrap(step)?;
    let name = reader.text(&question, "commandName")?;
    let version = reader.field(&question, "commandVersion")?.as_int64().ok_or_else(|| malformed("a version"))?;
    let payload = reader.field(&question, "payload")?;
    let request = request(reader, &name, version, &payload)?;
    let resume = reader.field(&question, "continue")?;
    let locations = reader.locations(&reader.field(&question, "locations")?);
    Ok(Asked { request, resume, locations })
}

fn request(r: Reader<'_>, name: &str, version: i64, q: &Term) -> Result<Request, RunError> {
    Ok(match (name, version) {
        ("Submit", 1 | 2) => {
            let all = r.list(q, "submissions")?;
            Request::Submit(all.iter().map(|submission| submit(r, submission)).collect::<Result<_, _>>()?)
        }
        ("QueryACS", 1) => Request::Query(r.parties(q, "parties")?, r.ty(q, "tplId")?),
        ("QueryContractId", 1) => {
            Request::QueryContractId(r.parties(q, "parties")?, r.ty(q, "tplId")?, r.contract_id(q, "cid")?)
        }
        ("QueryContractKey", 1) | ("QueryByKey", 1 | 2) => {
            Request::QueryKey(r.parties(q, "parties")?, r.ty(q, "tplId")?, r.key(q, "key")?)
        }
        ("QueryNByKey", 1) => {
            let limit = r.field(q, "limit")?.as_int64().and_then(|limit| usize::try_from(limit).ok());
            let limit = limit.ok_or_else(|| malformed("a number of contracts"))?;
            Request::QueryKeys(r.parties(q, "parties")?, r.ty(q, "tplId")?, r.key(q, "key")?, limit)
        }
        ("QueryInterface", 1) => Request::QueryInterface(r.parties(q, "parties")?, r.ty(q, "interfaceId")?),
        ("QueryInterfaceContractId", 1) => {
            let (parties, interface) = (r.parties(q, "parties")?, r.ty(q, "interfaceId")?);
            Request::QueryInterfaceContractId(parties, interface, r.contract_id(q, "cid")?)
        }
        ("AllocateParty", 1 | 2) => {
            let name = r.text(q, "requestedName").or_else(|_| r.text(q, "displayName"))?;
            Request::AllocateParty { name, hint: r.text(q, "idHint")? }
        }
        ("ListKnownParties", 1) => Request::Parties,
        ("GetTime", 1) => Request::Time,
        ("SetTime", 1) => Request::SetTime(r.field(q, "time")?.as_timestamp().ok_or_else(|| malformed("a time"))?),
        ("Sleep", 1) => Request::Sleep(r.duration(q, "duration")?),
        ("Catch", 1) => Request::Catch(r.field(q, "act")?),
        ("TryFailureStatus", 1) => Request::TryFailureStatus(r.field(q, "act")?),
        ("TryCommands", 1) => Request::TryCommands(r.field(q, "act")?),
        ("Throw", 1) => Request::Throw(r.field(q, "exc")?),
        ("FailWithStatus", 1) => Request::Fail(status(r, &r.field(q, "status")?)?),
        ("ListAllPackages", 1) => Request::Packages { vetted: false },
        ("ListVettedPackages", 1) => Request::Packages { vetted: true },
        ("VetPackages", 1) => Request::Vet(packages(r, q)?, true),
        ("UnvetPackages", 1) => Request::Vet(packages(r, q)?, false),
        ("Secp256k1GenerateKeyPair", 1) => Request::KeyPair,
        ("Secp256k1Sign", 1) => {
            let digest = crypto::sha256(&r.bytes(q, "message")?).as_bytes().to_vec();
            Request::Sign { key: r.bytes(q, "privateKey")?, digest }
        }
        ("Secp256k1WithEcdsaSign", 1) => {
            Request::Sign { key: r.bytes(q, "privateKey")?, digest: r.bytes(q, "message")? }
        }
        (_, 1) => return r.users(name, q),
        _ => return Err(RunError::Question(format!("{name}, version {version}"))),
    })
}

impl Reader<'_> {
    /// Questions about users, which both generations ask alike.
    pub(crate) fn users(self, name: &str, q: &Term) -> Result<Request, RunError> {
        Ok(match name {
            "ValidateUserId" => Request::ValidateUserId(self.text(q, "name")?),
            "CreateUser" => Request::CreateUser(self.user(q, "user")?, self.rights(q, "rights")?),
            "GetUser" => Request::User(self.user_id(q, "userId")?),
            "DeleteUser" => Request::DeleteUser(self.user_id(q, "userId")?),
            "ListAllUsers" => Request::Users,
            "GrantUserRights" => Request::Grant(self.user_id(q, "userId")?, self.rights(q, "rights")?),
            "RevokeUserRights" => Request::Revoke(self.user_id(q, "userId")?, self.rights(q, "rights")?),
            "ListUserRights" => Request::Rights(self.user_id(q, "userId")?),
            other => return Err(RunError::Question(other.to_owned())),
        })
    }
}

fn submit(r: Reader<'_>, s: &Term) -> Result<Submit, RunError> {
    let preferences = match r.field(s, "sPackagePreference")?.as_optional() {
        Some(Some(list)) => {
            let package = |wrapped: &Term| {
                let id = r.unwrap(wrapped)?;
                let id = id.as_text().ok_or_else(|| malformed("a package id"))?;
                PackageId::new(id).map_err(|error| RunError::Question(error.to_string()))
            };
            list.as_list().unwrap_or_default().iter().map(package).collect::<Result<_, _>>()?
        }
        _ => Vec::new(),
    };
    let behaviour = r.field(s, "sErrorBehaviour")?;
    let expected = match behaviour.as_constructor().map(|(name, _)| name.as_str()) {
        Some("MustSucceed") => Expected::Success,
        Some("MustFail") => Expected::Failure,
        Some("Try") => Expected::Anything,
        _ => return Err(malformed("sErrorBehaviour")),
    };
    let mut known_from = Vec::new();
    let mut commands = Vec::new();
    for command in r.list(s, "sCommands")? {
        let exactly = r.field(&command, "explicitPackageId")?.as_bool().unwrap_or(false);
        let (command, package) = r.command(&r.field(&command, "command")?, exactly)?;
        let roots = if matches!(command, engine::Command::CreateAndExercise { .. }) { 2 } else { 1 };
        known_from.extend(std::iter::repeat_n(package, roots));
        commands.push(command);
    }
    let submission = Submission {
        act_as: r.some_parties(s, "sActAs")?,
        read_as: r.parties(s, "sReadAs")?,
        commands,
        preferences,
        disclosed: r.blobs(&r.field(s, "sDisclosures")?)?,
    };
    Ok(Submit { submission, known_from, expected })
}

fn packages(r: Reader<'_>, q: &Term) -> Result<Vec<PackageVersionName>, RunError> {
    let package = |package: &Term| {
        let refuse = |error: base::InvalidId| RunError::Question(error.to_string());
        let name = PackageName::new(r.text(package, "name")?).map_err(refuse)?;
        Ok((name, PackageVersion::new(r.text(package, "version")?).map_err(refuse)?))
    };
    r.list(q, "packages")?.iter().map(package).collect()
}

/// A failure that the script itself makes.
fn status(r: Reader<'_>, status: &Term) -> Result<EngineError, RunError> {
    Ok(EngineError::Failure {
        error_id: r.text(status, "errorId")?,
        category: r.field(status, "category")?.as_int64().ok_or_else(|| malformed("category"))?,
        message: r.text(status, "message")?,
        metadata: r.field(status, "meta")?.as_text_map().ok_or_else(|| malformed("meta"))?,
    })
}
