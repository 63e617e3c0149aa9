//! Which changes a base does not hold.

use crate::format::lsn::Lsn;
use crate::format::manifest::Manifest;
use crate::format::manifest::base_alignment::BaseAlignment;

impl Manifest {
    /// Returns a position before the commit of every transaction that the backup does not hold, which is a base of this alignment.
    pub fn first_missing(&self, alignment: &BaseAlignment) -> Lsn {
        let snapshot = self.snapshot.as_ref().and_then(|snapshot| snapshot.lsn.as_ref()?.parse().ok());
        alignment.needed_from(snapshot)
    }
}
