//! Which base is chosen, and what is said where there is none that can be.

use super::*;
use crate::base::error::{Kind, hints, kind};
use crate::format::transaction_snapshot::TransactionSnapshot;
use crate::repository::chain::forged_chain::{DATABASE, ForgedChain};
use crate::repository::made_backups::{put, put_base, repository};
use crate::store::memory::Memory;
use crate::store::refusing_store::RefusingStore;
use std::sync::Arc;

const FIRST: &str = "20260822T031500Z-5f0c21ab";
const SECOND: &str = "20260823T031500Z-00000001";

fn base(repository: &Repository, second: i64, server: &str, generation: &str) -> BackupId {
    let snapshot = TransactionSnapshot::of_text("7:9:7").unwrap();
    let changes = BaseAlignment::new(generation.parse().unwrap(), snapshot, (Lsn(0x180), Lsn(0x180)));
    put_base(repository, (DATABASE, second), Some(server), &[], changes).id
}

fn choose(repository: &Repository, named: Option<&BackupId>) -> Result<ChosenBase> {
    choose_base(repository, &Subject::from(DATABASE), named, RestorePoint::Latest)
}

/// Returns what is said: the exit code, the message and the hint.
fn refusal(repository: &Repository, named: Option<&BackupId>) -> (u8, String, String) {
    let error = choose(repository, named).err().expect("an error");
    (kind(&error).exit_code(), format!("{error:#}"), hints(&error).join("; "))
}

#[test]
fn where_no_base_can_be_chosen_it_is_said_which_there_are_and_what_to_do() {
    let store = Memory::default();
    let repository = repository(&store);
    let plain = put(&repository, DATABASE, 1, Some("1"), &[]).id;
    let (code, told, hint) = refusal(&repository, Some(&plain));
    assert_eq!(code, 2);
    assert!(told.starts_with(&format!("{plain} is not a base: it does not say where in the stored changes")), "{told}");
    assert!(hint.starts_with("leave the id out, and the base is chosen; or leave out --at"), "{hint}");

    let (code, told, hint) = refusal(&repository, None);
    assert_eq!(code, 4);
    assert_eq!(told, "there is no base of \"shop\" in memory: no backup behind which changes were stored");
    assert!(hint.contains("leave out --at"), "{hint}");

    let lost = base(&repository, 2, "1", FIRST);
    let (code, told, hint) = refusal(&repository, None);
    assert_eq!(code, 3);
    assert_eq!(
        told,
        format!("base {lost} belongs to generation {FIRST}, and memory has nothing of the changes of that")
    );
    assert!(hint.starts_with("say the id of another base; or leave out --at"), "{hint}");

    ForgedChain::begin(&repository, SECOND).up_to(&[0x200, 0x300]);
    let [first, second] = [3, 4].map(|at| base(&repository, at, "1", SECOND));
    assert_eq!(choose(&repository, None).unwrap().opened.manifest.id, second);
    assert_eq!(choose(&repository, Some(&first)).unwrap().changes.links.len(), 2);

    let other = base(&repository, 5, "2", SECOND);
    let (code, told, hint) = refusal(&repository, None);
    assert_eq!(code, 2);
    assert_eq!(told, format!("several servers have bases of \"shop\" here; the newest of each: {second}, {other}"));
    assert_eq!(hint, "say the id of the base that you mean: pgbk restore ID --at …");
    assert_eq!(choose(&repository, Some(&other)).unwrap().opened.manifest.id, other);
}

#[test]
fn a_base_that_cannot_be_read_is_not_said_to_be_missing() {
    let memory = Memory::default();
    let plain = repository(&memory);
    base(&plain, 1, "1", FIRST);
    let refusing = RefusingStore { memory, end: ".meta".to_owned(), open: Some(Kind::Denied), remove: None };
    let (code, told, _) = refusal(&Repository { store: Arc::new(refusing), ..plain }, None);
    assert_eq!(code, 1);
    assert!(told.starts_with("no backup of \"shop\" in memory can be read that is a base: the host refuses"), "{told}");
}
