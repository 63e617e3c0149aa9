//! The fault loop: of a run, each thing that can fail is failed, one at a time and in every way there is. Afterwards there is a
//! complete and verified backup, or a non-zero exit and nothing at all.

#[path = "faults/calls.rs"]
mod calls;
#[path = "faults/fault.rs"]
mod fault;
#[path = "faults/host.rs"]
mod host;
#[path = "faults/lacking.rs"]
mod lacking;
#[path = "faults/message.rs"]
mod message;
#[path = "faults/programs.rs"]
mod programs;
#[path = "faults/reading.rs"]
mod reading;
#[path = "faults/requests.rs"]
mod requests;
mod support;
