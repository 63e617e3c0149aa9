//! Sets up TLS by libpq's rules: which authorities are trusted, what is checked, and which certificate the server is shown.

use crate::base::error::{Fault, Result};
use crate::base::plain_file;
use crate::postgres::connect::parameters::Parameters;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslFiletype, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::{X509Lookup, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;
use postgres_openssl::MakeTlsConnector;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl TlsMode {
    /// Returns whether there must be authorities to trust.
    fn is_strict(self) -> bool {
        matches!(self, TlsMode::VerifyCa | TlsMode::VerifyFull)
    }
}

/// Returns the mode in force. The system's authorities sign for anybody, so that they are worth something only if the server's name
/// is checked.
pub fn mode(parameters: &Parameters) -> Result<TlsMode> {
    let system = parameters.get("sslrootcert") == Some("system");
    let words = ["prefer", "disable", "allow", "require", "verify-ca", "verify-full"];
    let word = if system && parameters.get("sslmode").is_none() {
        "verify-full"
    } else {
        parameters.word("sslmode", &words)?
    };
    if system && word != "verify-full" {
        return Err(Fault::usage(format!("PGSSLMODE \"{word}\" is too weak for PGSSLROOTCERT=system"))
            .hint("set PGSSLMODE=verify-full, or PGSSLROOTCERT to your own authority's certificate")
            .into());
    }
    Ok(match word {
        "disable" => TlsMode::Disable,
        "allow" => TlsMode::Allow,
        "require" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" => TlsMode::VerifyFull,
        _ => TlsMode::Prefer,
    })
}

/// Returns whether TLS begins at once, without asking the server for it.
pub fn is_direct(parameters: &Parameters) -> Result<bool> {
    Ok(parameters.word("sslnegotiation", &["postgres", "direct"])? == "direct")
}

/// Makes the TLS of connections. For each connector OpenSSL reads all of the system's authorities, trusted or not, which takes longer than
/// to connect.
#[derive(Clone)]
pub(crate) enum TlsSetup {
    /// Files say what is trusted or shown. They have been read.
    WithFiles(MakeTlsConnector),
    /// No file is needed: the connector is made when a server has TLS, and once for a process.
    Bare(TlsOptions),
}

/// Holds what is set without a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TlsOptions {
    mode: TlsMode,
    least: Option<SslVersion>,
    most: Option<SslVersion>,
    is_direct: bool,
    sends_name: bool,
}

/// The connectors that were made without any file.
static BARE: Mutex<Vec<(TlsOptions, MakeTlsConnector)>> = Mutex::new(Vec::new());

impl TlsSetup {
    /// Reads the files that the parameters name. It is an error if one of them cannot be used.
    pub fn of(parameters: &Parameters, home: Option<&Path>) -> Result<TlsSetup> {
        let files = TlsFiles { parameters, home };
        let options = TlsOptions::of(parameters)?;
        let needs_files = options.mode.is_strict()
            || files.find("sslrootcert", "root.crt").is_some()
            || files.certificate()?.is_some();
        Ok(match needs_files {
            true => {
                let mut builder = options.builder()?;
                trust(&mut builder, &files, options.mode)?;
                identity(&mut builder, &files)?;
                TlsSetup::WithFiles(options.connector(builder))
            }
            false => TlsSetup::Bare(options),
        })
    }

    /// Returns the connector.
    pub fn connector(&self) -> std::result::Result<MakeTlsConnector, ErrorStack> {
        let options = match self {
            TlsSetup::WithFiles(connector) => return Ok(connector.clone()),
            TlsSetup::Bare(options) => options,
        };
        let mut made = BARE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = made.iter().find(|(one, _)| one == options) {
            return Ok(connector.clone());
        }
        let mut builder = options.builder()?;
        builder.set_verify(SslVerifyMode::NONE);
        let connector = options.connector(builder);
        made.push((*options, connector.clone()));
        Ok(connector)
    }
}

impl TlsOptions {
    fn of(parameters: &Parameters) -> Result<TlsOptions> {
        let version = |word| match word {
            "TLSv1" => Some(SslVersion::TLS1),
            "TLSv1.1" => Some(SslVersion::TLS1_1),
            "TLSv1.2" => Some(SslVersion::TLS1_2),
            "TLSv1.3" => Some(SslVersion::TLS1_3),
            _ => None,
        };
        let least = parameters.word("ssl_min_protocol_version", &["TLSv1.2", "TLSv1", "TLSv1.1", "TLSv1.3"])?;
        let most = parameters.word("ssl_max_protocol_version", &["", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"])?;
        Ok(TlsOptions {
            mode: mode(parameters)?,
            least: version(least),
            most: version(most),
            is_direct: is_direct(parameters)?,
            sends_name: parameters.word("sslsni", &["1", "0"])? == "1",
        })
    }

    fn builder(&self) -> std::result::Result<SslConnectorBuilder, ErrorStack> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_min_proto_version(self.least)?;
        builder.set_max_proto_version(self.most)?;
        if self.is_direct {
            postgres_openssl::set_postgresql_alpn(&mut builder)?;
        }
        Ok(builder)
    }

    fn connector(self, builder: SslConnectorBuilder) -> MakeTlsConnector {
        let mut connector = MakeTlsConnector::new(builder.build());
        connector.set_callback(move |tls, _| {
            tls.set_use_server_name_indication(self.sends_name);
            tls.set_verify_hostname(self.mode == TlsMode::VerifyFull);
            Ok(())
        });
        connector
    }
}

struct TlsFiles<'a> {
    parameters: &'a Parameters,
    home: Option<&'a Path>,
}

impl TlsFiles<'_> {
    /// Returns the file that is set, else the default one in `~/.postgresql` if it exists.
    fn find(&self, keyword: &str, default: &str) -> Option<PathBuf> {
        let own = || self.default(default).filter(|path| path.exists());
        self.parameters.get(keyword).map(PathBuf::from).or_else(own)
    }

    fn default(&self, name: &str) -> Option<PathBuf> {
        self.home.map(|home| home.join(".postgresql").join(name))
    }

    /// Returns the client's certificate; `None` if it has none or must not show one.
    fn certificate(&self) -> Result<Option<PathBuf>> {
        if self.parameters.word("sslcertmode", &["allow", "disable"])? == "disable" {
            return Ok(None);
        }
        Ok(self.find("sslcert", "postgresql.crt").filter(|path| path.exists()))
    }
}

/// Sets which authorities are trusted. Like libpq, it uses an existing root certificate in every mode, so that `require` with one
/// is `verify-ca`.
fn trust(builder: &mut SslConnectorBuilder, files: &TlsFiles, mode: TlsMode) -> Result<()> {
    let root = files.find("sslrootcert", "root.crt");
    match root.as_deref() {
        // The connector trusts the system's authorities unless told otherwise.
        Some(path) if path == Path::new("system") => builder.set_verify(SslVerifyMode::PEER),
        Some(path) if path.exists() => {
            builder.set_cert_store(authorities(path, files)?.build());
            builder.set_verify(SslVerifyMode::PEER);
        }
        _ if mode.is_strict() => {
            let path = root.or_else(|| files.default("root.crt")).unwrap_or_default();
            return Err(Fault::usage(format!("root certificate \"{}\" does not exist", path.display()))
                .hint("PGSSLROOTCERT names it, or \"system\" for the system's authorities; PGSSLMODE=require does without")
                .into());
        }
        _ => builder.set_verify(SslVerifyMode::NONE),
    }
    Ok(())
}

fn authorities(path: &Path, files: &TlsFiles) -> Result<X509StoreBuilder> {
    let bad = |why: &dyn std::fmt::Display| {
        Fault::usage(format!("cannot use root certificate \"{}\": {why}", path.display()))
    };
    let pem = plain_file::read_named(path).map_err(|error| bad(&error))?;
    let certificates = X509::stack_from_pem(&pem).map_err(|error| bad(&error))?;
    if certificates.is_empty() {
        return Err(bad(&"it holds no certificate").into());
    }
    let mut store = X509StoreBuilder::new()?;
    for certificate in certificates {
        store.add_cert(certificate)?;
    }
    revoked(&mut store, files)?;
    Ok(store)
}

fn revoked(store: &mut X509StoreBuilder, files: &TlsFiles) -> Result<()> {
    let directory = files.parameters.get("sslcrldir");
    let list =
        files.find("sslcrl", "root.crl").filter(|_| directory.is_none() || files.parameters.get("sslcrl").is_some());
    if let Some(path) = &list {
        let bad = |error: &dyn std::fmt::Display| {
            Fault::usage(format!("cannot use revocation list \"{}\": {error}", path.display()))
        };
        // OpenSSL reads it by its name, and would wait for a pipe.
        plain_file::named(path).map_err(|error| bad(&error))?;
        store.add_lookup(X509Lookup::file())?.load_crl_file(path, SslFiletype::PEM).map_err(|error| bad(&error))?;
    }
    if let Some(directory) = directory {
        store.add_lookup(X509Lookup::hash_dir())?.add_dir(directory, SslFiletype::PEM)?;
    }
    if list.is_some() || directory.is_some() {
        store.set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL)?;
    }
    Ok(())
}

/// Sets the certificate and key that are shown to a server which asks for them.
fn identity(builder: &mut SslConnectorBuilder, files: &TlsFiles) -> Result<()> {
    let Some(certificate) = files.certificate()? else { return Ok(()) };
    let bad = |why: &dyn std::fmt::Display| {
        Fault::usage(format!("cannot use client certificate \"{}\": {why}", certificate.display()))
    };
    plain_file::named(&certificate).map_err(|error| bad(&error))?;
    builder.set_certificate_chain_file(&certificate).map_err(|error| bad(&error))?;
    let key = files.find("sslkey", "postgresql.key").ok_or_else(|| bad(&"its key is missing (PGSSLKEY)"))?;
    let key = private_key(&key, files.parameters.get("sslpassword"))?;
    let pair = builder.set_private_key(&key).and_then(|()| builder.check_private_key());
    pair.map_err(|_| bad(&"its key is another one's"))?;
    Ok(())
}

fn private_key(path: &Path, passphrase: Option<&str>) -> Result<PKey<Private>> {
    let bad =
        |why: &dyn std::fmt::Display| Fault::usage(format!("cannot use private key \"{}\": {why}", path.display()));
    let metadata = std::fs::metadata(path).map_err(|error| bad(&error))?;
    if !metadata.is_file() {
        return Err(bad(&"it is no plain file").into());
    }
    // libpq's rule: 0600, or 0640 when root owns it.
    let closed = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & closed != 0 {
        return Err(bad(&"others may read it").hint("chmod 600, or 640 when root owns it").into());
    }
    let bytes = plain_file::read_named(path).map_err(|error| bad(&error))?;
    let pem = PKey::private_key_from_pem_callback(&bytes, |buffer| {
        // Without this answer OpenSSL would ask on the terminal.
        let passphrase = passphrase.unwrap_or_default().as_bytes();
        let length = passphrase.len().min(buffer.len());
        buffer[..length].copy_from_slice(&passphrase[..length]);
        Ok(length)
    });
    Ok(pem
        .or_else(|_| PKey::private_key_from_der(&bytes))
        .map_err(|_| bad(&"it is no key, or its passphrase is wrong"))?)
}
