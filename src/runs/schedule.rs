//! Says when runs are due, starts them, and shows that the scheduler is alive.

pub(crate) mod cron;
pub(crate) mod heartbeat;
pub(crate) mod planner;
pub(crate) mod scheduler;
pub mod timetable;
