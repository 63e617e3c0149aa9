//! The fault loop: of a run, each thing that can fail is failed, one at a time and in every way there is. Afterwards there is a
//! complete and verified backup, or a non-zero exit and nothing at all.

mod calls;
mod fault;
mod host;
mod lacking;
mod message;
mod programs;
mod reading;
mod requests;
