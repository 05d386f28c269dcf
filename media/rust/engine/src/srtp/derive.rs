//! Session keys from the master key (RFC 3711 section 4.3), key derivation rate zero.

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

use super::SrtpError;

/// Octets of an AES-128 master key.
const MASTER_KEY_LEN: usize = 16;
/// The longest master salt; a shorter one is followed by zeros (RFC 7714 section 11).
const MAX_MASTER_SALT_LEN: usize = 14;
/// Where the label meets the salt: before the 48 bits of the packet index, which is zero here.
const LABEL_AT: usize = 7;

/// What a derived key is for (RFC 3711 section 4.3.1, 4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Label {
    RtpKey = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpKey = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// The pseudo-random function AES-CM of one master key and salt.
pub(super) struct KeyDerivation {
    prf: EncryptingKey,
    salt: [u8; MAX_MASTER_SALT_LEN],
}

impl KeyDerivation {
    /// BadKey where the key has not 16 octets, or the salt not `salt_len`.
    pub(super) fn new(master_key: &[u8], master_salt: &[u8], salt_len: usize) -> Result<Self, SrtpError> {
        let mut salt = [0; MAX_MASTER_SALT_LEN];
        match salt.get_mut(..salt_len) {
            Some(own) if own.len() == master_salt.len() => own.copy_from_slice(master_salt),
            _ => return Err(SrtpError::BadKey),
        }
        if master_key.len() != MASTER_KEY_LEN {
            return Err(SrtpError::BadKey);
        }
        let prf = UnboundCipherKey::new(&AES_128, master_key)
            .and_then(EncryptingKey::ctr)
            .map_err(|_| SrtpError::BadKey)?;
        Ok(Self { prf, salt })
    }

    /// The first `N` octets for `label`.
    pub(super) fn derive<const N: usize>(&self, label: Label) -> Result<[u8; N], SrtpError> {
        let mut block = [0; 16];
        for (at, (octet, salt)) in block.iter_mut().zip(self.salt).enumerate() {
            *octet = if at == LABEL_AT { salt ^ label as u8 } else { salt };
        }
        // The key stream itself is wanted, so zeros are encrypted.
        let mut stream = [0; N];
        let counter = EncryptionContext::Iv128(FixedLength::from(block));
        self.prf.less_safe_encrypt(&mut stream, counter).map_err(|_| SrtpError::BadKey)?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyDerivation, Label, SrtpError};
    use crate::wire::testing::hex;

    /// RFC 3711 appendix B.3.
    fn rfc_3711() -> KeyDerivation {
        let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
        let salt = hex("0EC675AD498AFEEBB6960B3AABE6");
        KeyDerivation::new(&key, &salt, 14).expect("right lengths")
    }

    #[test]
    fn vectors_of_rfc_3711() {
        let derivation = rfc_3711();
        let key: [u8; 16] = derivation.derive(Label::RtpKey).expect("derived");
        assert_eq!(key[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
        let salt: [u8; 14] = derivation.derive(Label::RtpSalt).expect("derived");
        assert_eq!(salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        // The authentication key has 94 octets there, so the counter runs on over six blocks.
        let authentication: [u8; 94] = derivation.derive(Label::RtpAuthentication).expect("derived");
        assert_eq!(
            authentication[..],
            hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE
                 E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25
                 6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2")
        );
    }

    #[test]
    fn every_label_gives_another_key() {
        let derivation = rfc_3711();
        let labels = [
            Label::RtpKey,
            Label::RtpAuthentication,
            Label::RtpSalt,
            Label::RtcpKey,
            Label::RtcpAuthentication,
            Label::RtcpSalt,
        ];
        let keys: std::collections::HashSet<[u8; 16]> =
            labels.into_iter().map(|label| derivation.derive(label).expect("derived")).collect();
        assert_eq!(keys.len(), labels.len());
    }

    #[test]
    fn wrong_lengths_are_refused() {
        for (key, salt) in [(15, 12), (17, 12), (16, 11), (16, 13), (32, 12), (0, 0)] {
            let refused = KeyDerivation::new(&vec![0; key], &vec![0; salt], 12).err();
            assert_eq!(refused, Some(SrtpError::BadKey), "key {key}, salt {salt}");
        }
    }
}
