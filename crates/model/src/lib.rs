//! The deciders that keep two writers apart, submissions single and verdicts final, together with a database, in every
//! order of steps there is.
//!
//! A test elsewhere tries some interleavings; these models try all of them up to a stated size. The automata are those of
//! production (`replica-core`, `sequencer-core`, `participant-core`, `mediator-core`); the database, its sessions and its
//! row locks are modelled here. Each model has mutants, systems with one safeguard taken away, and each mutant must be
//! caught: otherwise the model could not have found the error it exists for.
//!
//! Nothing imports this room; it holds tests only.

#[cfg(test)]
mod deduplication;
#[cfg(test)]
mod election;
#[cfg(test)]
mod verdicts;
#[cfg(test)]
mod watermarks;
