//! A certificate authority of the tests' own.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Name, X509Ref};

/// A certificate authority and a server certificate of it for 127.0.0.1.
pub fn authority() -> (SslAcceptor, Vec<u8>) {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("curve");
    let key = || PKey::from_ec_key(EcKey::generate(&curve).expect("key")).expect("key");
    let (ca_key, server_key) = (key(), key());
    let ca = certificate("pgbk test authority", &ca_key, None);
    let server = certificate("pgbk test server", &server_key, Some((&ca, &ca_key)));
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("acceptor");
    acceptor.set_private_key(&server_key).expect("key");
    acceptor.set_certificate(&server).expect("certificate");
    (acceptor.build(), ca.to_pem().expect("pem"))
}

fn certificate(name: &str, key: &PKey<Private>, issuer: Option<(&X509Ref, &PKey<Private>)>) -> X509 {
    let mut subject = X509Name::builder().expect("name");
    subject.append_entry_by_text("CN", name).expect("name");
    let subject = subject.build();
    let mut made = X509::builder().expect("builder");
    made.set_version(2).expect("version");
    let serial = BigNum::from_u32(if issuer.is_some() { 2 } else { 1 }).and_then(|n| n.to_asn1_integer());
    made.set_serial_number(&serial.expect("serial")).expect("serial");
    made.set_subject_name(&subject).expect("subject");
    made.set_issuer_name(issuer.map_or(&*subject, |(issuer, _)| issuer.subject_name())).expect("issuer");
    made.set_pubkey(key).expect("key");
    made.set_not_before(&Asn1Time::days_from_now(0).expect("time")).expect("time");
    made.set_not_after(&Asn1Time::days_from_now(2).expect("time")).expect("time");
    if issuer.is_none() {
        made.append_extension(BasicConstraints::new().critical().ca().build().expect("ca")).expect("ca");
    } else {
        let context = made.x509v3_context(None, None);
        let names = SubjectAlternativeName::new().ip("127.0.0.1").build(&context).expect("names");
        made.append_extension(names).expect("names");
    }
    made.sign(issuer.map_or(key, |(_, key)| key), MessageDigest::sha256()).expect("sign");
    made.build()
}
