//! What nodes say to each other, and how it is encoded. Pure: values in, values out.
//!
//! [`sequencing`] holds what goes through a sequencer (submissions, envelopes, recipients, events). The sequencer
//! knows nothing else of this room: the content of an envelope is bytes to it.

pub mod sequencing;
