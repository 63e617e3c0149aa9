//! Parses a connection URL or connection string as libpq does. It may hold a password, so that no message shows any of it.

use crate::base::error::{Fault, Result};
use crate::postgres;

/// The parameters of a connection URL: libpq's keywords and their values, in the order in which they are given.
pub type UrlParameters = Vec<(String, String)>;

const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];
/// libpq's keywords besides the parameters that pgbk knows. A connection string may begin with one of them, too.
const OTHERS: &[&str] = &[
    "authtype",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "requiressl",
    "scram_client_key",
    "scram_server_key",
    "service",
    "servicefile",
    "sslkeylogfile",
    "tty",
];

/// Returns whether a text is a connection URL or string of libpq, valid or not. A connection string begins with a
/// keyword: a database may be called `a=b`.
pub fn is_libpqs(text: &str) -> bool {
    let text = text.trim_start();
    let keyword = text.split_once('=').map(|(keyword, _)| keyword.trim());
    let tells = || text.split_whitespace().skip(1).any(|word| word.starts_with("password="));
    starts(text).is_some() || keyword.is_some_and(|keyword| is_keyword(keyword) || tells())
}

fn is_keyword(text: &str) -> bool {
    postgres::connect::parameters::variable_of(text).is_some() || OTHERS.contains(&text)
}

/// Returns whether a text is a connection URL or string, of libpq or of another program. No database and no server
/// has such a name.
pub fn is_one(text: &str) -> bool {
    is_libpqs(text) || has_scheme(text)
}

/// Returns whether there is a connection URL of a PostgreSQL server anywhere in a text, as libpq or another program writes it.
fn holds_one(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let is_postgres = |at: usize| {
        let scheme = text[..at].rsplit(|sign: char| !is_of_scheme(sign)).next().unwrap_or_default();
        scheme.contains("postgres") || scheme.contains("pgsql")
    };
    text.match_indices("://").any(|(at, _)| is_postgres(at))
}

/// Returns whether a text may hold the password of a connection, so that it must not be shown.
pub fn tells_password(text: &str) -> bool {
    holds_one(text) || (is_libpqs(text) && text.contains("password"))
}

fn has_scheme(text: &str) -> bool {
    text.trim_start()
        .split_once("://")
        .is_some_and(|(scheme, _)| !scheme.is_empty() && scheme.chars().all(is_of_scheme))
}

fn is_of_scheme(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || "+.-".contains(sign)
}

/// Parses a connection URL or string. Leaves out empty values. `name` says in errors where it comes from.
pub fn parse(name: &str, text: &str) -> Result<UrlParameters> {
    let text = text.trim();
    let parts = match starts(text) {
        Some(rest) => url(rest),
        None if has_scheme(text) => None,
        None => string(text),
    };
    let parts = parts.ok_or_else(|| {
        Fault::usage(format!("{name} is no connection URL that libpq would take"))
            .hint("it looks like postgresql://user:password@host:5432/database?sslmode=require; in the password, write / as %2F, @ as %40, % as %25")
    })?;
    Ok(parts.into_iter().filter(|(_, value)| !value.is_empty()).collect())
}

fn starts(text: &str) -> Option<&str> {
    let scheme = SCHEMES
        .iter()
        .find(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))?;
    text.get(scheme.len()..)
}

fn url(text: &str) -> Option<UrlParameters> {
    let mut parts = UrlParameters::new();
    let mut put = |keyword: &str, value: String| parts.push((keyword.to_owned(), value));
    let head = text.split('/').next().unwrap_or_default();
    let (login, rest) = match head.rfind('@') {
        Some(at) => (Some(&text[..at]), &text[at + 1..]),
        None => (None, text),
    };
    if let Some(login) = login {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        put("user", decoded(user)?);
        put("password", decoded(password)?);
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (places, database) = rest.split_once('/').unwrap_or((rest, ""));
    // Of a password with a / that is not encoded, the rest would be taken for the database.
    if database.contains(['/', '@']) {
        return None;
    }
    let places: Vec<(String, String)> = places.split(',').map(place).collect::<Option<_>>()?;
    let joined = |side: fn(&(String, String)) -> &str| {
        let all: Vec<&str> = places.iter().map(side).collect();
        if all.iter().all(|one| one.is_empty()) { String::new() } else { all.join(",") }
    };
    put("host", joined(|place| &place.0));
    put("port", joined(|place| &place.1));
    put("dbname", decoded(database)?);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (keyword, value) = pair.split_once('=')?;
        match (decoded(keyword)?.as_str(), decoded(value)?) {
            ("ssl", value) if value == "true" => put("sslmode", "require".to_owned()),
            (keyword, value) => put(keyword, value),
        }
    }
    Some(parts)
}

/// Returns a host and its port, either of which may be empty. None: they are not valid.
fn place(text: &str) -> Option<(String, String)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, if after.is_empty() { "" } else { after.strip_prefix(':')? })
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    // What is no number here may be a piece of a password.
    let number = port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0);
    number.then_some(())?;
    Some((decoded(host)?, port.to_owned()))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let value = u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
        bytes.push(value);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control))
}

/// Parses `keyword = value …`. Single quotes are around a value that has blanks, and a backslash is before a
/// character that is meant as it is. None: it is not valid.
fn string(text: &str) -> Option<UrlParameters> {
    let mut parts = UrlParameters::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (keyword, after) = rest.split_once('=')?;
        let keyword = keyword.trim();
        if keyword.is_empty() || keyword.contains(char::is_whitespace) {
            return None;
        }
        let (value, after) = value(after.trim_start())?;
        parts.push((keyword.to_owned(), value));
        rest = after.trim_start();
    }
    Some(parts)
}

/// Returns the value at the beginning, and the text after it. None: a quote is not closed.
fn value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let text = if quoted { &text[1..] } else { text };
    let mut value = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\\' => value.push(signs.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            sign if !quoted && sign.is_whitespace() => return Some((value, &text[at..])),
            sign => value.push(sign),
        }
    }
    (!quoted).then_some((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        parse("X", text).unwrap().into_iter().map(|(keyword, value)| format!("{keyword}={value}")).collect()
    }

    #[test]
    fn urls_are_taken_apart_as_libpq_does() {
        assert_eq!(parts("postgresql://"), Vec::<String>::new());
        assert_eq!(
            parts("postgres://u:p%40%2Fss@h:5433/shop"),
            ["user=u", "password=p@/ss", "host=h", "port=5433", "dbname=shop"]
        );
        assert_eq!(
            parts("postgresql://a:1,[::1]:2,c/d?sslmode=require&ssl=true"),
            ["host=a,::1,c", "port=1,2,", "dbname=d", "sslmode=require", "sslmode=require"]
        );
        assert_eq!(parts("postgresql://%2Fvar%2Frun/d?password=x"), ["host=/var/run", "dbname=d", "password=x"]);
        assert_eq!(parts("postgresql://u:p@ss?w@h"), ["user=u", "password=p@ss?w", "host=h"]);
        assert_eq!(parts(r"host=h  password = 'a b\'c' dbname=x\ y"), ["host=h", "password=a b'c", "dbname=x y"]);
    }

    #[test]
    fn what_is_malformed_is_refused_and_not_shown() {
        for text in [
            "postgresql://u:hunter2/x@h/d",
            "postgresql://u:hunter2%zz@h/d",
            "postgresql://u:hunter2@h:port/d",
            "postgresql://u:hunter2@[::1/d",
            "postgresql://u:hunter2@h/d?novalue",
            "postgresql://u:hunter2%00@h/d",
            "postgresql://u:hunter2%0A@h/d",
            "host=h password='hunter2",
            "password=hunter2 more",
        ] {
            let error = parse("DATABASE_URL", text).unwrap_err();
            assert_eq!(crate::base::error::kind(&error), crate::base::error::Kind::Usage);
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn a_database_may_have_a_sign_of_equality_in_its_name() {
        assert!(!is_one("a=b") && !is_one("shop") && is_one("host=a") && is_one(" POSTGRES://h"));
        assert!(holds_one("--dbname=postgresql://u:p@h") && !holds_one("postgresql"));
        // Without a password behind it, which alone would tell.
        let keywords = "application_name authtype channel_binding client_encoding connect_timeout dbname fallback_application_name \
            gssdelegation gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname \
            load_balance_hosts max_protocol_version min_protocol_version oauth_client_id oauth_client_secret oauth_issuer oauth_scope \
            options passfile password port replication require_auth requirepeer requiressl scram_client_key scram_server_key service \
            servicefile sslcert sslcertmode sslcompression sslcrl sslcrldir sslkey sslkeylogfile ssl_max_protocol_version \
            ssl_min_protocol_version sslmode sslnegotiation sslpassword sslrootcert sslsni target_session_attrs tcp_user_timeout tty user";
        for keyword in keywords.split_whitespace() {
            assert!(
                is_one(&format!("{keyword} = x")) && is_one(&format!("{keyword} = x password=hunter2")),
                "{keyword}"
            );
        }
        assert!(is_one("other=x password=hunter2") && !is_one("password") && !is_one("a=b c"));
    }

    #[test]
    fn another_programs_url_is_no_name_and_is_not_shown() {
        for text in [
            "postgresql+psycopg2://u:hunter2@h/d",
            "pgsql://u:hunter2@h",
            "tcp://u:hunter2@h/d?a=b",
            "mysql://u:hunter2@h/d",
        ] {
            assert!(is_one(text) && !is_libpqs(text), "{text}");
            let error = parse("DB_NAME", text).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        assert!(holds_one("x=postgresql+psycopg2://u@h") && !tells_password("https://u:p@h/?password=x"));
    }
}
