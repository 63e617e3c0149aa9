//! Documents that state other pieces, or other places of the rows, than the payload has, under a seal that holds.

use super::*;
use pgbk::format::manifest::extent::Extent;
use pgbk::format::manifest::{Manifest, Table};
use support::database::exists;
use support::forger::reseal;

/// How the rows are asked for.
#[derive(Debug, Clone, Copy)]
enum Way {
    Download,
    DownloadRows,
    DownloadRaw,
    VerifyStored,
    RestoreTable,
    RestoreByTwo,
}

use Way::{Download, DownloadRaw, DownloadRows, RestoreByTwo, RestoreTable, VerifyStored};

/// What is changed, and how each way then ends: with this code, and these words.
type Forgery<'a> = (&'a str, &'a dyn Fn(&mut Manifest), &'a [(Way, i32, &'a str)]);

fn of<'a>(manifest: &'a mut Manifest, table: &str) -> &'a mut Table {
    manifest.tables.iter_mut().find(|one| one.name == table).expect("the table")
}

/// What begins here ends where it did.
fn begin_at(table: &mut Table, at: usize) {
    let [extent] = table.at[..] else { panic!("{:?}", table.at) };
    table.at = vec![Extent { at: at as u64, bytes: extent.range().end - at as u64 }];
}

/// Must be refused, and leave neither a file nor a database.
fn refused(pgbk: &Pgbk, id: &str, way: Way, code: i32) -> Outcome {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("out.sql");
    let (folder, file) = (out.path().to_str().unwrap(), file.to_str().unwrap());
    let restore = ["restore", id, "--to", "tables_forged_new", "--yes"];
    let arguments: Vec<&str> = match way {
        Download => vec!["download", id, "-o", file],
        DownloadRows => vec!["download", id, "--table", "public.a_small", "-o", file],
        DownloadRaw => vec!["download", id, "--raw", "-o", folder],
        VerifyStored => vec!["verify", id, "--level", "stored"],
        RestoreTable => restore.into_iter().chain(["--table", "public.a_small"]).collect(),
        RestoreByTwo => restore.into_iter().chain(["--jobs", "2"]).collect(),
    };
    let outcome = pgbk.args(arguments).expect(code);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "{way:?}: {outcome:#?}");
    assert!(!exists("tables_forged_new"), "{way:?}: {outcome:#?}");
    outcome
}

#[test]
fn whatever_a_document_states_of_pieces_and_places_no_other_rows_come_of_it() {
    several_pieces("tables_forged");
    sql("tables_forged", "CREATE SEQUENCE behind_all_rows");
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path()).key();
    let pgbk = pgbk.set("DB_BACKUP_COMPRESS", "zstd").set("DB_BACKUP_COMPRESS_LEVEL", 1);
    let id = pgbk.backup("tables_forged", &[]);
    let meta = folder.path().join(format!("tables_forged/{id}.meta"));
    let original = fs::read(&meta).unwrap();
    let dump = pgbk.args(["download", &id, "-o", "-"]).expect(0).text();
    let made = dump.find("CREATE TABLE public.a_small").unwrap();
    let set = dump.find("SELECT pg_catalog.setval(").unwrap();
    let set = set + dump[set..].find('\n').unwrap();

    let pieces = "the pieces that the .meta states are not those of the payload";
    let other = "table public.a_small is not what the .meta states";
    let together = "states rows of two tables in the same place, or behind the end";
    let hash = "does not have the BLAKE2b that its .meta states";
    let forgeries: [Forgery; 12] = [
        (
            "no pieces",
            &|manifest| manifest.pieces.clear(),
            &[
                (DownloadRows, 2, "is one stream, of which no part can be read alone"),
                (RestoreTable, 2, "is one stream"),
            ],
        ),
        (
            "a piece less",
            &|manifest| manifest.pieces.truncate(manifest.pieces.len() - 1),
            &[
                (Download, 3, "the payload goes on behind its last piece"),
                (DownloadRows, 3, pieces),
                (RestoreTable, 3, pieces),
                (RestoreByTwo, 3, pieces),
            ],
        ),
        (
            "a piece more",
            &|manifest| manifest.pieces.push(manifest.pieces[0]),
            &[
                (Download, 3, "the payload ends before its last piece"),
                (DownloadRows, 3, pieces),
                (RestoreTable, 3, pieces),
                (RestoreByTwo, 3, pieces),
            ],
        ),
        (
            "pieces of other sizes, which make up the same",
            &|manifest| {
                manifest.pieces[0].plain += 1;
                manifest.pieces[1].plain -= 1;
            },
            &[
                (Download, 3, "has another size"),
                (DownloadRows, 3, "has another size"),
                (RestoreByTwo, 3, "has another size"),
            ],
        ),
        (
            "rows behind the end",
            &|manifest| {
                let end = manifest.plain.bytes;
                of(manifest, "public.a_small").at[0].at = end - 1;
            },
            &[
                (DownloadRows, 3, "states a part of the dump that is beyond its end"),
                (RestoreTable, 3, "states a part of the dump that is beyond its end"),
                (RestoreByTwo, 3, together),
            ],
        ),
        (
            "rows of two tables in one place",
            &|manifest| {
                let at = of(manifest, "public.z_small").at.clone();
                of(manifest, "public.a_small").at = at;
            },
            &[(DownloadRows, 3, other), (RestoreByTwo, 3, together)],
        ),
        (
            "rows in the place of another table's",
            &|manifest| {
                let [a, z] = ["public.a_small", "public.z_small"].map(|name| of(manifest, name).at.clone());
                of(manifest, "public.a_small").at = z;
                of(manifest, "public.z_small").at = a;
            },
            &[(DownloadRows, 3, other), (RestoreByTwo, 3, "is not what the .meta states")],
        ),
        (
            "rows from the middle of a statement on",
            &|manifest| begin_at(of(manifest, "public.a_small"), made + 10),
            &[(RestoreByTwo, 3, "states rows in the middle of a statement of the dump")],
        ),
        (
            "a statement behind rows",
            &|manifest| {
                let last = manifest.tables.iter_mut().max_by_key(|table| table.at[0].at).unwrap();
                last.at[0].bytes = set as u64 - last.at[0].at;
            },
            &[(RestoreByTwo, 3, "states another place for the rows of table ")],
        ),
        (
            "a row more",
            &|manifest| of(manifest, "public.a_small").rows += 1,
            &[
                (DownloadRows, 3, "100 rows of 101, or another content"),
                (RestoreTable, 3, "100 rows of 101, or another content"),
                (RestoreByTwo, 3, "100 rows of 101, or another content"),
            ],
        ),
        (
            "a table by another name",
            &|manifest| of(manifest, "public.a_small").name = "public.a_smaller".to_owned(),
            &[(
                RestoreTable,
                3,
                "the .meta does not state the table public.a_small, which the table of contents names",
            )],
        ),
        (
            "another hash of the payload",
            &|manifest| manifest.stored.blake2b[0] ^= 1,
            &[(VerifyStored, 3, hash), (DownloadRaw, 3, hash)],
        ),
    ];
    let mut count = 0;
    for (what, change, ends) in forgeries {
        fs::write(&meta, &original).unwrap();
        reseal(folder.path(), &id, change);
        assert!(fs::read(&meta).unwrap() != original, "{what}");
        for (way, code, words) in ends {
            let outcome = refused(&pgbk, &id, *way, *code);
            let said = format!("{}{}", outcome.text(), outcome.err);
            assert!(said.contains(words), "{what}, {way:?}: {said}");
            count += 1;
        }
    }
    // The document itself is no forgery, and is not counted: with it the same restore works.
    fs::write(&meta, &original).unwrap();
    pgbk.args(["restore", &id, "--to", "tables_forged_new", "--yes", "--jobs", "2"]).expect(0);
    assert_eq!(sql("tables_forged_new", "SELECT count(*) FROM a_small"), "100");
    proof::counted("forgeries", "pieces and places stated otherwise, by the ways of reading them", 0, count);
}

/// It works without the key, and so without a tag that could tell.
#[test]
fn a_payload_that_is_damaged_is_not_carried_elsewhere_by_a_raw_download() {
    create("tables_raw", "");
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path());
    let id = pgbk.key().backup("tables_raw", &[]);
    damage(&folder.path().join(format!("tables_raw/{id}.sql.enc")), |length| length / 2);
    for run in [pgbk.key(), pgbk.clone()] {
        refused(&run, &id, DownloadRaw, 3).says("does not have the BLAKE2b that its .meta states");
    }
}
