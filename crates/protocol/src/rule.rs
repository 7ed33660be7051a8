//! The rules that a second organisation could break, by name (spec/protocol.md §2.8–§2.15). Whoever checks one says which.
//!
//! With the feature `mutants-for-tests` a test can take single checks away, to show that something depends on each of
//! them. Without it, which is every product build, a rule that is broken is broken.

/// What the receivers of messages check. The room `adversary` breaks each of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rule {
    /// Mediator: a request declares the mediator that it is sent to.
    DeclaredMediator,
    /// Mediator: the submitting participant signed the request.
    RequestSigner,
    /// Mediator: root hash messages carry the root hash of the request.
    ToldRootHash,
    /// Mediator: those who must know of the request, and nobody else, are told.
    Told,
    /// Mediator: every view asks somebody who can confirm.
    Quorums,
    /// Mediator: a request's uuid is new.
    Uuid,
    /// Mediator: a participant signed its responses.
    ResponseSigner,
    /// Mediator: a participant votes for parties that it hosts.
    VoterHosts,
    /// Participant: the mediator is active.
    ActiveMediator,
    /// Participant: views belong to the root hash.
    ViewRootHash,
    /// Participant: views name the mediator that was told of the request.
    ViewMediator,
    /// Participant: a request of which nothing can be used is answered.
    Answered,
    /// Participant: everybody who must see a view was sent it.
    ViewRecipients,
    /// Participant: nobody else was.
    NoOtherRecipients,
    /// Participant: the submitting participant signed the request.
    ViewSigner,
    /// Participant: the submitting participant hosts those for whom it acts.
    ActAs,
    /// Participant: the request comes before its submitter gave it up.
    MaxSequencingTime,
    /// Participant: contracts are what their ids say.
    ContractId,
    /// Participant: contracts are not younger than what uses them.
    ContractAge,
    /// Participant: ledger time is near record time.
    LedgerTime,
    /// Participant: preparation time is near record time.
    PreparationTime,
    /// Participant: whoever must authorize the actions does.
    Authority,
    /// Participant: the actions have the consequences that Daml gives them.
    Conformance,
    /// Participant: everybody who sees a view vetted its packages.
    Vetting,
    /// Participant: within the request no contract is used outside its life.
    Consistency,
    /// Participant: contracts that are used are not locked by an earlier request.
    Locked,
    /// Participant: contracts that are used are active.
    Active,
    /// Participant: contract keys have those contracts that the request says.
    Key,
    /// Participant: verdicts are the mediator's.
    VerdictSigner,
}

#[cfg(feature = "mutants-for-tests")]
thread_local! {
    static UNCHECKED: std::cell::RefCell<Vec<Rule>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Rule {
    /// Whether the rule counts as broken, given that it is.
    #[must_use]
    #[cfg(not(feature = "mutants-for-tests"))]
    pub const fn broken(self, is: bool) -> bool {
        is
    }

    /// Whether the rule counts as broken, given that it is: unless its check was taken away.
    #[must_use]
    #[cfg(feature = "mutants-for-tests")]
    pub fn broken(self, is: bool) -> bool {
        is && UNCHECKED.with_borrow(|unchecked| !unchecked.contains(&self))
    }

    /// An error that says that the rule is broken, if it counts.
    pub fn check<E>(self, result: Result<(), E>) -> Result<(), E> {
        if self.broken(result.is_err()) { result } else { Ok(()) }
    }

    /// Runs something on this thread without the checks of these rules.
    #[cfg(feature = "mutants-for-tests")]
    pub fn without<T>(rules: &[Self], run: impl FnOnce() -> T) -> T {
        let before = UNCHECKED.replace(rules.to_vec());
        let result = run();
        UNCHECKED.set(before);
        result
    }
}
