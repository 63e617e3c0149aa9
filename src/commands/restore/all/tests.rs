use crate::base::error::hints;
use crate::commands::restore::all::*;

#[test]
fn globals_that_are_refused_can_be_left_out_and_a_signal_needs_no_advice() {
    let id: BackupId = "@globals-20260822T031500Z".parse().unwrap();
    for (kind_due, has_hint) in
        [(Kind::Refused, true), (Kind::Denied, true), (Kind::Failed, true), (Kind::Interrupted(15), false)]
    {
        let error = refused(&id, Fault::new(kind_due, "no such tablespace").into());
        assert_eq!(format!("{error:#}"), format!("{id}: no database was restored: no such tablespace"));
        assert_eq!((kind(&error), hints(&error).len()), (kind_due, usize::from(has_hint)));
        assert!(hints(&error).iter().all(|hint| hint.contains("--no-tablespaces") && hint.contains("--no-owner")));
    }
}
