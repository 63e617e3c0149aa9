//! A series knows its server, and its order comes from no clock.

#[path = "series/histories.rs"]
mod histories;
#[path = "series/servers.rs"]
mod servers;
mod support;
#[path = "series/world.rs"]
mod world;
