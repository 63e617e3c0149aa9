//! SQL that keeps the length and the alphabet of a text, and none of its words.

use crate::postgres::anonymise::keyed_hash::hash;

/// Returns an expression for the text with another letter for each letter and another digit for each digit, by the secret. Other
/// signs of ASCII, blanks and punctuation stay. Letters of other alphabets become neighbours of theirs.
///
/// What a letter becomes depends on its place and on the hash of the whole text, and of the letter itself on its alphabet alone: so
/// a hash for the text is enough, from which a polynomial makes a number for each place.
pub(crate) fn scrambled(text: &str) -> String {
    let seed = format!("pg_catalog.encode({}, 'hex')", hash("text", text));
    let number = |first: usize| format!("('x' || pg_catalog.substr(digits.hex, {first}, 7))::bit(28)::bigint");
    let (one, two, three) = (number(1), number(8), number(15));
    format!(
        "COALESCE((SELECT pg_catalog.string_agg(CASE
            WHEN letter.code BETWEEN 48 AND 57 THEN pg_catalog.chr(48 + letter.chance % 10)
            WHEN letter.code BETWEEN 65 AND 90 THEN pg_catalog.chr(65 + letter.chance % 26)
            WHEN letter.code BETWEEN 97 AND 122 THEN pg_catalog.chr(97 + letter.chance % 26)
            WHEN letter.code < 128 THEN letter.sign
            WHEN pg_catalog.getdatabaseencoding() <> 'UTF8' THEN 'x'
            WHEN letter.code < 192 OR letter.code BETWEEN 8192 AND 12351 OR letter.code BETWEEN 65504 AND 65535 THEN letter.sign
            ELSE pg_catalog.chr(letter.code - letter.code % 32 + letter.chance % 32) END, '' ORDER BY letter.place)
        FROM (SELECT split.sign, split.place, pg_catalog.ascii(split.sign) AS code, ((seed.one + split.place % 65521
                    * (seed.two + split.place % 65521 * seed.three) % 2147483647) % 2147483647 / 64)::integer AS chance
            FROM (SELECT {one} AS one, {two} AS two, {three} AS three FROM (SELECT {seed} AS hex OFFSET 0) digits OFFSET 0) seed
            CROSS JOIN pg_catalog.unnest(pg_catalog.string_to_array({text}, NULL)) WITH ORDINALITY split (sign, place) OFFSET 0) letter), {text})"
    )
}
