//! The tests that walk whole spaces or kill pgbk many times: every setting, every failing request, every major version of PostgreSQL.

mod damage;
mod faults;
mod kill;
mod majors;
mod matrix;
mod real;
mod settings;
mod size;
mod traps;
mod witness;
