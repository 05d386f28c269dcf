//! A DTLS client over memory (RFC 6347), for the SRTP keys alone (RFC 5764).

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{
    ErrorCode, HandshakeError, MidHandshakeSslStream, Ssl, SslContext, SslMethod, SslStream, SslVerifyMode,
};
use openssl::x509::{X509, X509NameBuilder};

use crate::srtp::Master;

/// Largest datagram of a handshake; every path of the web takes it.
const MTU: u32 = 1200;
/// DTLS_CTRL_HANDLE_TIMEOUT of OpenSSL's ssl.h, a macro there and so missing from the bindings.
const HANDLE_TIMEOUT: i32 = 74;

/// One certificate for all endpoints of the program: making one for each would only cost time.
pub struct Identity {
    context: SslContext,
    /// SHA-256 of the certificate as SDP writes it (RFC 8122).
    pub fingerprint: String,
}

impl Identity {
    /// A fresh self-signed certificate on P-256.
    pub fn new() -> Result<Self, openssl::error::ErrorStack> {
        let key = PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)?;
        let mut name = X509NameBuilder::new()?;
        name.append_entry_by_text("CN", "load")?;
        let name = name.build();
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        builder.set_serial_number(&*BigNum::from_u32(1)?.to_asn1_integer()?)?;
        builder.set_subject_name(&name)?;
        builder.set_issuer_name(&name)?;
        builder.set_pubkey(&key)?;
        builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
        builder.set_not_after(&*Asn1Time::days_from_now(2)?)?;
        builder.sign(&key, MessageDigest::sha256())?;
        let certificate = builder.build();

        let mut context = SslContext::builder(SslMethod::dtls_client())?;
        context.set_certificate(&certificate)?;
        context.set_private_key(&key)?;
        context.set_tlsext_use_srtp("SRTP_AEAD_AES_128_GCM")?;
        // The certificate is compared with the fingerprint of the answer, no authority signed it.
        context.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
        Ok(Self { context: context.build(), fingerprint: fingerprint(&certificate)? })
    }
}

fn fingerprint(certificate: &X509) -> Result<String, openssl::error::ErrorStack> {
    let digest = certificate.digest(MessageDigest::sha256())?;
    Ok(digest.iter().map(|octet| format!("{octet:02X}")).collect::<Vec<_>>().join(":"))
}

/// Keys of both directions, when a handshake is done.
pub struct Keys {
    /// Of what we send.
    pub ours: Master,
    /// Of what the server sends.
    pub theirs: Master,
}

#[derive(Default, Debug)]
struct Datagrams {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

impl Read for Datagrams {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let datagram = self.incoming.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        into[..datagram.len()].copy_from_slice(&datagram);
        Ok(datagram.len())
    }
}

impl Write for Datagrams {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outgoing.push(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum State {
    Shaking(MidHandshakeSslStream<Datagrams>),
    Done(SslStream<Datagrams>),
}

/// One handshake, and the association after it.
pub struct Client {
    state: Option<State>,
    expected: String,
}

impl Client {
    /// Begin; `expected` is the server's fingerprint from its description.
    pub fn new(identity: &Identity, expected: &str) -> Result<Self, String> {
        let mut ssl = Ssl::new(&identity.context).map_err(|error| error.to_string())?;
        ssl.set_mtu(MTU).map_err(|error| error.to_string())?;
        match ssl.connect(Datagrams::default()) {
            Err(HandshakeError::WouldBlock(shaking)) => {
                Ok(Self { state: Some(State::Shaking(shaking)), expected: expected.to_ascii_uppercase() })
            }
            Err(error) => Err(describe(error)),
            Ok(_) => Err("a handshake without a word from the server".into()),
        }
    }

    /// What is to be sent now.
    pub fn outgoing(&mut self) -> Vec<Vec<u8>> {
        let datagrams = match self.state.as_mut() {
            Some(State::Shaking(shaking)) => shaking.get_mut(),
            Some(State::Done(stream)) => stream.get_mut(),
            None => return Vec::new(),
        };
        std::mem::take(&mut datagrams.outgoing)
    }

    /// A datagram came. Gives the keys once, when the handshake is done by it.
    pub fn receive(&mut self, datagram: &[u8]) -> Result<Option<Keys>, String> {
        match self.state.take() {
            Some(State::Shaking(mut shaking)) => {
                shaking.get_mut().incoming.push_back(datagram.to_vec());
                match shaking.handshake() {
                    Ok(stream) => {
                        let keys = self.keys(&stream)?;
                        self.state = Some(State::Done(stream));
                        Ok(Some(keys))
                    }
                    Err(HandshakeError::WouldBlock(shaking)) => {
                        self.state = Some(State::Shaking(shaking));
                        Ok(None)
                    }
                    Err(error) => Err(describe(error)),
                }
            }
            Some(State::Done(mut stream)) => {
                stream.get_mut().incoming.push_back(datagram.to_vec());
                let closed = matches!(stream.ssl_read(&mut [0; 2048]), Err(error) if error.code() == ErrorCode::ZERO_RETURN);
                self.state = Some(State::Done(stream));
                if closed { Err("the server said goodbye".into()) } else { Ok(None) }
            }
            None => Err("after a failed handshake".into()),
        }
    }

    /// Send the last flight again where its time has come; cheap to ask often.
    pub fn tick(&mut self) {
        if let Some(State::Shaking(shaking)) = self.state.as_mut() {
            use foreign_types::ForeignTypeRef;
            // SAFETY: the pointer is that of a living SSL object, and the call needs no argument.
            unsafe { openssl_sys::SSL_ctrl(shaking.ssl().as_ptr(), HANDLE_TIMEOUT, 0, std::ptr::null_mut()) };
        }
    }

    fn keys(&self, stream: &SslStream<Datagrams>) -> Result<Keys, String> {
        let ssl = stream.ssl();
        let certificate = ssl.peer_certificate().ok_or("the server has no certificate")?;
        let found = fingerprint(&certificate).map_err(|error| error.to_string())?;
        if found != self.expected {
            return Err(format!("fingerprint {found}, not {}", self.expected));
        }
        if ssl.selected_srtp_profile().is_none_or(|profile| profile.name() != "SRTP_AEAD_AES_128_GCM") {
            return Err("the server took no AEAD_AES_128_GCM".into());
        }
        let mut material = [0; 56];
        ssl.export_keying_material(&mut material, "EXTRACTOR-dtls_srtp", None)
            .map_err(|error| error.to_string())?;
        let master = |key: usize, salt: usize| Master {
            key: material[key..key + 16].try_into().expect("16 octets"),
            salt: material[salt..salt + 12].try_into().expect("12 octets"),
        };
        Ok(Keys { ours: master(0, 32), theirs: master(16, 44) })
    }
}

fn describe(error: HandshakeError<Datagrams>) -> String {
    match error {
        HandshakeError::SetupFailure(errors) => errors.to_string(),
        HandshakeError::Failure(shaking) | HandshakeError::WouldBlock(shaking) => shaking.error().to_string(),
    }
}
