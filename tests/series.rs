//! A series knows its server, and its order comes from no clock.

mod histories;
mod servers;
mod world;
