//! The data folder that a server begins with.

use super::{PASSWORD, USER, as_postgres, succeeded};
use crate::process::root;
use openssl::base64::encode_block;
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::PKey;
use openssl::sha::sha256;
use openssl::sign::Signer;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;

const INITDB: [&str; 7] = ["-A", "scram-sha-256", "-U", USER, "-E", "UTF8", "--locale=C.UTF-8"];

/// Makes the data of a new server in `data` of this folder, which the user postgres may write to.
pub(super) fn make_data(bin: &Path, directory: &Path) {
    let password = directory.join("password");
    // initdb of an older version reads a hundred bytes of it.
    let given = if major(bin) < 14 { PASSWORD.to_owned() } else { verifier() };
    fs::write(&password, given).unwrap();
    let mut initdb = as_postgres(bin.join("initdb"));
    initdb.args(INITDB).args(["-N", "--pwfile"]).arg(password).arg("-D").arg(directory.join("data"));
    succeeded("initdb", &initdb.output().unwrap());
}

/// Returns the line by which initdb tells its version.
fn version(bin: &Path) -> String {
    String::from_utf8(Command::new(bin.join("initdb")).arg("--version").output().unwrap().stdout).unwrap()
}

fn major(bin: &Path) -> u32 {
    let version = version(bin);
    let number = version.split(' ').find_map(|word| word.split('.').next()?.trim().parse().ok());
    number.unwrap_or_else(|| panic!("no version in {version}"))
}

/// Returns what the server keeps of the password, from one round of hashing. It would hash 4096 times, and so would every client at
/// every login, of which the tests have tens of thousands.
fn verifier() -> String {
    let (salt, mut salted) = ([7; 16], [0; 32]);
    pbkdf2_hmac(PASSWORD.as_bytes(), &salt, 1, MessageDigest::sha256(), &mut salted).unwrap();
    let salted = PKey::hmac(&salted).unwrap();
    let key = |name: &str| Signer::new(MessageDigest::sha256(), &salted).unwrap().sign_oneshot_to_vec(name.as_bytes());
    let [client, server] = ["Client Key", "Server Key"].map(|name| key(name).unwrap());
    let [salt, client, server] = [&salt[..], &sha256(&client), &server].map(encode_block);
    format!("SCRAM-SHA-256$1:{salt}${client}:{server}")
}

/// Copies the data that the first test process has made for all that come after it: a copy costs a twentieth of initdb.
pub(super) fn copy_of_shared_data(bin: &Path, directory: &Path) {
    let version = version(bin);
    let mut hash = DefaultHasher::new();
    (version, INITDB, verifier()).hash(&mut hash);
    let folder = root().join(".test/data");
    let shared = folder.join(format!("{:x}", hash.finish()));
    fs::create_dir_all(&folder).unwrap();
    let lock = fs::File::create(root().join(".test/data.lock")).unwrap();
    lock.lock().unwrap();
    let copy = |from: &Path, to: &Path| {
        succeeded("cp", &Command::new("cp").arg("-a").args([from, to]).output().unwrap());
    };
    if shared.exists() {
        return copy(&shared, &directory.join("data"));
    }
    make_data(bin, directory);
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    copy(&directory.join("data"), &shared.with_extension("part"));
    fs::rename(shared.with_extension("part"), shared).unwrap();
}
