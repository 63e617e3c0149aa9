//! Hosts that list in ways of their own: in version 1 only, without saying where a list goes on, with keys spelt as in URLs.

use pgbk::store::Store;
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::S3Settings;
use std::collections::BTreeMap;
use support::faulty::{Fault, Faulty, Request};
use support::proof;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Version {
    Tokens,
    /// Takes version 2 for version 1, which has other ways to go on.
    First,
    /// Knows version 2, and does not say where it goes on.
    NoToken,
    /// Refuses version 2.
    Refuses(u16, &'static str),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Spelt {
    AsIs,
    Unasked,
    /// With small letters, and a slash encoded as well.
    Whole,
    Declared,
}

const KEYS: [&str; 7] = [
    "@globals/@globals-20261127T040000Z.meta",
    "a%2Fb/a%2Fb-20261127T040000Z.meta",
    "my%20db/my%20db-20261127T040000Z.meta",
    "my%20db/my%20db-20261127T040000Z.sql",
    "plus%2B/plus%2B-20261127T040000Z.meta",
    "shop/shop-20261127T040000Z.meta",
    "shop/shop-20261127T040000Z.sql",
];

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits = |rest: &mut std::str::Bytes| [rest.next().unwrap(), rest.next().unwrap()];
        bytes.push(if byte == b'%' { hex::decode(digits(&mut rest)).unwrap()[0] } else { byte });
    }
    String::from_utf8(bytes).unwrap()
}

impl Spelt {
    fn spell(self, key: &str) -> String {
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || self != Spelt::Whole && byte == b'/';
        let one = |byte: u8| match (self, byte) {
            (Spelt::AsIs, b'&') => "&amp;".to_owned(),
            (Spelt::Declared, b' ') => "+".to_owned(),
            (Spelt::Whole, byte) if !plain(byte) => format!("%{byte:02x}"),
            (Spelt::Unasked | Spelt::Declared, byte) if !plain(byte) => format!("%{byte:02X}"),
            (_, byte) => char::from(byte).to_string(),
        };
        if self == Spelt::AsIs { key.replace('&', "&amp;") } else { key.bytes().map(one).collect() }
    }
}

/// A page of a listing of these keys, as such a host gives it.
fn page(request: &Request, keys: &[String], version: Version, spelt: Spelt, size: usize) -> Option<Fault> {
    if request.method != "GET" || request.path.trim_end_matches('/') != "/bucket" || request.query.contains("uploads") {
        return None;
    }
    let pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
    let asked: BTreeMap<&str, String> = pairs.map(|(name, value)| (name, decoded(value))).collect();
    let is_second = asked.contains_key("list-type");
    if let (Version::Refuses(status, code), true) = (version, is_second) {
        return Some(Fault::Answer(status, code));
    }
    let has_tokens = version == Version::Tokens && is_second;
    // A host of version 1 does not know what continues version 2, and the other way round.
    let at = match (version, is_second) {
        (Version::Tokens, true) => asked.get("continuation-token"),
        (Version::NoToken, true) => None,
        _ => asked.get("marker"),
    };
    let prefix = asked.get("prefix").cloned().unwrap_or_default();
    let size = size.min(asked.get("max-keys").map_or(1000, |most| most.parse().unwrap()));
    let mut found = keys.iter().filter(|key| key.starts_with(&prefix) && at.is_none_or(|at| *key > at));
    let here: Vec<&String> = found.by_ref().take(size).collect();
    let goes_on = found.next().is_some();
    let entry = |key: &&String| {
        format!(
            "<Contents><Key>{}</Key><Size>1</Size><LastModified>2026-11-27T04:00:00.000Z</LastModified></Contents>",
            spelt.spell(key)
        )
    };
    let token = here
        .last()
        .filter(|_| has_tokens && goes_on)
        .map(|key| format!("<NextContinuationToken>{}</NextContinuationToken>", key.replace('&', "&amp;")));
    let declared = if spelt == Spelt::Declared { "<EncodingType>url</EncodingType>" } else { "" };
    Some(Fault::Says(format!(
        "<ListBucketResult><Name>bucket</Name>{declared}<IsTruncated>{goes_on}</IsTruncated>{}{}</ListBucketResult>",
        token.unwrap_or_default(),
        here.iter().map(entry).collect::<String>()
    )))
}

#[test]
fn whatever_version_of_the_listing_a_host_has_and_however_it_spells_keys_all_of_them_are_found() {
    let versions = [
        Version::Tokens,
        Version::First,
        Version::NoToken,
        Version::Refuses(501, "NotImplemented"),
        Version::Refuses(400, "InvalidArgument"),
        Version::Refuses(405, "MethodNotAllowed"),
    ];
    let mut walked = 0;
    for (nth, version) in versions.into_iter().enumerate() {
        for (at, spelt) in [Spelt::AsIs, Spelt::Unasked, Spelt::Whole, Spelt::Declared].into_iter().enumerate() {
            let places = [("", 1), ("a+b & ü/100%", 2), ("", 1000), ("my prod", 2)];
            for (folder, size) in proof::sample(places, 3, nth + at) {
                let full = |key: &&str| if folder.is_empty() { (*key).to_owned() } else { format!("{folder}/{key}") };
                let keys: Vec<String> = KEYS.iter().map(full).collect();
                let host = Faulty::start(move |request, _| page(request, &keys, version, spelt, size));
                let store = S3::open(S3Settings { folder: folder.to_owned(), ..host.settings() }).unwrap();
                for prefix in ["", "my%20db/", "shop/", "@globals/", "none/"] {
                    let found: Vec<String> = store.list(prefix).unwrap().into_iter().map(|listed| listed.key).collect();
                    let expected: Vec<&str> = KEYS.into_iter().filter(|key| key.starts_with(prefix)).collect();
                    assert_eq!(found, expected, "{version:?}, {spelt:?}, \"{folder}\", {size}, \"{prefix}\"");
                    walked += 1;
                }
            }
        }
    }
    proof::counted("odd", "ways of listing of hosts, each with every spelling of keys", walked, 0);
}

#[test]
fn a_host_that_lists_in_neither_version_tells_its_first_reason() {
    let host = Faulty::start(|request, _| match request.call() {
        "list" => Some(Fault::Answer(501, "NotImplemented")),
        _ => Some(Fault::Answer(400, "InvalidURI")),
    });
    let error = host.store().list("").unwrap_err();
    assert!(format!("{error:#}").contains("NotImplemented"), "{error:#}");
    // What says nothing of versions is no reason to ask in another.
    let host = Faulty::start(|_, _| Some(Fault::Answer(403, "AccessDenied")));
    host.store().list("").unwrap_err();
    assert!(host.seen().iter().all(|request| request.call() == "list"));
}
