//! The read model of a participant. The active replica writes it, in the transactions of its own state: this room makes
//! the rows ([`publish`] and its neighbours). Every replica reads it through [`Ledger`], so a stream on a surviving
//! replica does not notice a takeover.
//!
//! What is absent: any decision. Offsets, order and content come from the participant.

mod model;
mod read;
mod store;

pub use model::{
    ActiveContract, Command, Completion, CompletionOutcome, Entry, PackageInfo, Party, Publication, Right, Update, User,
};
pub use read::Ledger;
#[doc(hidden)]
pub use store::STATEMENTS;
pub use store::{
    MIGRATIONS, contracts_of_key, delete_user, initial_rows, key_counts, load_contracts, package_row, party_row,
    publish, usable_contract, user_rows,
};

#[cfg(test)]
mod tests;
