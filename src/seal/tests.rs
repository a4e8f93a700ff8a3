//! Which public keys are accepted, and that only their private keys open what was sealed.

use age::x25519::Identity;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bech32::{Bech32, Hrp};
use proptest::prelude::*;

use super::{KeyError, RecipientError, Recipients};

/// A public key as `ssh-keygen` writes it.
const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJKc89miDhQBCieg+zM/smyV3bIeyYYVbP0MKg8pypNw alice@laptop";

/// The base point of Curve25519, as Ed25519 writes it.
const POINT: [u8; 32] = {
    let mut point = [0x66; 32];
    point[0] = 0x58;
    point
};

fn age_key() -> String {
    Identity::generate().to_public().to_string()
}

fn age_key_of(point: [u8; 32]) -> String {
    bech32::encode::<Bech32>(Hrp::parse("age").unwrap(), &point).unwrap()
}

fn ssh_key(kind: &str, fields: &[&[u8]]) -> String {
    let mut blob = Vec::new();
    for field in [kind.as_bytes()].iter().chain(fields) {
        blob.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
        blob.extend(*field);
    }
    format!("{kind} {}", STANDARD.encode(blob))
}

/// An RSA key of this many whole bytes. Each value of `ones` gives a different key.
fn rsa_key(bytes: usize, ones: usize) -> String {
    let mut modulus = vec![0x55; bytes + 1];
    (modulus[0], modulus[1]) = (0, 0x80);
    modulus[2..2 + ones].fill(0xff);
    ssh_key("ssh-rsa", &[&[1, 0, 1], &modulus])
}

fn one(key: &str) -> Result<Recipients, KeyError> {
    Recipients::read(&[key.to_owned()]).map_err(|error| match error {
        RecipientError::Key { index: 0, cause } => cause,
        other => panic!("{other}"),
    })
}

#[track_caller]
fn refused(key: &str, because: KeyError) {
    match one(key) {
        Ok(_) => panic!("{key} was taken"),
        Err(cause) => assert_eq!(cause, because, "{key}"),
    }
}

fn open(sealed: &[u8], identity: &Identity) -> Result<String, age::DecryptError> {
    age::decrypt(identity, sealed).map(|text| String::from_utf8(text).unwrap())
}

#[test]
fn each_kind_of_key_is_taken_with_and_without_a_comment() {
    let (age, rsa, long) = (age_key(), rsa_key(256, 0), rsa_key(512, 0));
    let keys = [
        age,
        ED25519.into(),
        ssh_key("ssh-ed25519", &[&POINT]),
        rsa,
        format!("{long} the comment of bob@example.com"),
    ];
    let recipients = Recipients::read(&keys).unwrap();
    assert_eq!(
        recipients.to_string(),
        "5 recipients (age, ssh-ed25519, ssh-ed25519, ssh-rsa, ssh-rsa)"
    );
    assert_eq!(one(&age_key()).unwrap().to_string(), "1 recipient (age)");
}

#[test]
fn the_keys_of_the_example_are_taken() {
    let (_, request) = include_str!("../../examples/sealed.yaml").rsplit_once("---").unwrap();
    let request: crate::api::TapRequest = crate::api::yaml::read(request).unwrap();
    let recipients = Recipients::read(&request.spec.recipients.unwrap()).unwrap();
    assert_eq!(recipients.to_string(), "2 recipients (age, ssh-ed25519)");
}

#[test]
fn one_to_ten_keys_are_taken_and_each_once() {
    let read = |keys: &[String]| Recipients::read(keys).map(|_| ());
    let mut keys: Vec<String> = (0..10).map(|n| rsa_key(256, n)).collect();
    assert_eq!(read(&keys), Ok(()));
    keys.push(age_key());
    assert_eq!(read(&keys), Err(RecipientError::Count(11)));
    assert_eq!(read(&[]), Err(RecipientError::Count(0)));
    let twice = [age_key(), ED25519.into(), ED25519.replace("alice@laptop", "alice@desk")];
    assert_eq!(read(&twice), Err(RecipientError::Duplicate { index: 2, first: 1 }));
}

#[test]
fn one_bad_key_among_good_ones_is_named_and_nothing_is_skipped() {
    let keys = [age_key(), "ssh-rsa AAAA".into(), ED25519.into()];
    let error = Recipients::read(&keys).err().unwrap();
    assert_eq!(error, RecipientError::Key { index: 1, cause: KeyError::Damaged });
    assert_eq!(
        error.to_string(),
        "spec.recipients[1] is not an SSH key: the text after its kind is cut off or changed"
    );
}

#[test]
fn no_character_of_an_age_key_can_be_another() {
    let key = age_key();
    for (place, was) in key.char_indices().skip("age1".len()) {
        for other in "qpzry9x8gf2tvdw0s3jn54khce6mua7l".chars().filter(|other| *other != was) {
            let mut changed = key.clone();
            changed.replace_range(place..=place, &other.to_string());
            refused(&changed, KeyError::Checksum);
        }
    }
}

#[test]
fn what_is_no_age_key_is_refused() {
    let (key, other) = (age_key(), Hrp::parse("age1yubikey").unwrap());
    let plugin = bech32::encode::<Bech32>(other, &[2; 33]).unwrap();
    let short = bech32::encode::<Bech32>(Hrp::parse("age").unwrap(), &[9; 31]).unwrap();
    let strict = bech32::encode::<bech32::Bech32m>(Hrp::parse("age").unwrap(), &POINT).unwrap();
    for (text, because) in [
        (key[..61].to_owned(), KeyError::NotNative),
        (strict, KeyError::Checksum),
        (short, KeyError::NotNative),
        (plugin, KeyError::NotNative),
        (format!("{key} alice"), KeyError::NotNative),
        (format!("{key}\n"), KeyError::ControlCharacter),
        (format!(" {key}"), KeyError::Unknown),
        (key.to_uppercase(), KeyError::Unknown),
        (String::new(), KeyError::Unknown),
        ("alice@contoso.com".into(), KeyError::Unknown),
        ("age1".into(), KeyError::NotNative),
        (format!("age1pq1{}", "q".repeat(1000)), KeyError::NotNative),
    ] {
        refused(&text, because);
    }
}

#[test]
fn what_is_no_ssh_key_is_refused() {
    let ed25519 = ssh_key("ssh-ed25519", &[&POINT]);
    let rsa = rsa_key(256, 0);
    let number: &[u8] = &[0x7f; 256];
    let ecdsa = ssh_key("ecdsa-sha2-nistp256", &[b"nistp256", &[4; 65]]);
    for (text, because) in [
        (ed25519[..40].to_owned(), KeyError::Damaged),
        (ed25519.replace("ssh-ed25519 ", "ssh-rsa "), KeyError::Damaged),
        (ed25519.replace(' ', "  "), KeyError::Damaged),
        (ed25519.replace(' ', "\t"), KeyError::ControlCharacter),
        (format!("{ed25519}AAAA"), KeyError::Damaged),
        (format!("{ed25519}\n{ed25519}"), KeyError::ControlCharacter),
        ("ssh-ed25519".into(), KeyError::Damaged),
        (ssh_key("ssh-ed25519", &[&POINT[..31]]), KeyError::Damaged),
        (ssh_key("ssh-ed25519", &[&POINT, b"more"]), KeyError::Damaged),
        // Not a point of the curve.
        (ssh_key("ssh-ed25519", &[&[2; 32]]), KeyError::Damaged),
        (rsa.replace("ssh-rsa ", "ssh-ed25519 "), KeyError::Damaged),
        (rsa[..200].to_owned(), KeyError::Damaged),
        (rsa_key(255, 0), KeyError::RsaTooShort),
        (rsa_key(128, 0), KeyError::RsaTooShort),
        (rsa_key(513, 0), KeyError::RsaTooLong),
        (ssh_key("ssh-rsa", &[&[2], number]), KeyError::Damaged),
        (ssh_key("ssh-rsa", &[&[1], number]), KeyError::Damaged),
        (ssh_key("ssh-rsa", &[&[0xff], number]), KeyError::Damaged),
        (ssh_key("ssh-rsa", &[&[0, 3], number]), KeyError::Damaged),
        (ssh_key("ssh-rsa", &[&[3], number, b"more"]), KeyError::Damaged),
        (format!("command=\"true\" {ed25519}"), KeyError::Unknown),
        (ssh_key("ssh-ed25519-cert-v01@openssh.com", &[&POINT]), KeyError::Unknown),
        ("-----BEGIN PUBLIC KEY-----".into(), KeyError::Unknown),
        (ecdsa, KeyError::SignOnly),
        (ssh_key("sk-ssh-ed25519@openssh.com", &[&POINT, b"ssh:"]), KeyError::SignOnly),
        (ssh_key("sk-ecdsa-sha2-nistp256@openssh.com", &[&POINT]), KeyError::SignOnly),
        (ssh_key("ssh-dss", &[number]), KeyError::SignOnly),
    ] {
        refused(&text, because);
    }
}

#[test]
fn a_private_key_is_told_to_be_one_and_never_repeated() {
    use age::secrecy::ExposeSecret as _;
    let age = Identity::generate().to_string().expose_secret().to_owned();
    let openssh = STANDARD.encode(b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none and so on");
    let pem = |kind: &str, body: &str| {
        format!("-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----\n")
    };
    for text in [
        age.clone(),
        age.to_lowercase(),
        format!("# public key: {}\n{age}\n", age_key()),
        pem("OPENSSH ", &openssh),
        pem("RSA ", "MIIEpAIBAAKCAQEA"),
        pem("", "MIIEvQIBADANBgkq"),
        openssh.clone(),
        format!("ssh-ed25519 {openssh}"),
    ] {
        refused(&text, KeyError::Private);
        let error = Recipients::read(&[ED25519.into(), text.clone()]).err().unwrap().to_string();
        assert!(error.contains("spec.recipients[1]") && error.contains("private key"), "{error}");
        assert!(!error.contains(&text[..20]) && !error.contains(&openssh), "{error}");
    }
}

/// age panics on these when it encrypts or reads, which would end the operator.
#[test]
fn keys_on_which_age_panics_are_refused_before() {
    let small = |first: u8| {
        let mut point = [0; 32];
        point[0] = first;
        point
    };
    let near_p = |first: u8| {
        let mut point = [0xff; 32];
        (point[0], point[31]) = (first, 0x7f);
        point
    };
    let hex = |text: &str| -> [u8; 32] {
        std::array::from_fn(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap())
    };
    // 0, 1, the two of order 8, and p - 1, p, p + 1, each with both values of the bit that X25519 ignores.
    let points = [
        small(0),
        small(1),
        hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        near_p(0xec),
        near_p(0xed),
        near_p(0xee),
    ];
    for mut point in points {
        refused(&age_key_of(point), KeyError::LowOrder);
        point[31] |= 0x80;
        refused(&age_key_of(point), KeyError::LowOrder);
    }
    // Of order 1 and 2 on Ed25519.
    refused(&ssh_key("ssh-ed25519", &[&small(1)]), KeyError::LowOrder);
    refused(&ssh_key("ssh-ed25519", &[&near_p(0xec)]), KeyError::LowOrder);
    for zero in [&[][..], &[0], &[0; 8], &[0; 257]] {
        refused(&ssh_key("ssh-rsa", &[zero, &[0x7f; 256]]), KeyError::Damaged);
        refused(&ssh_key("ssh-rsa", &[&[3], zero]), KeyError::Damaged);
    }
}

#[test]
fn what_is_sealed_opens_with_any_of_the_keys_and_with_no_other() {
    let [alice, bob, eve] = [(); 3].map(|()| Identity::generate());
    let keys = [alice.to_public().to_string(), ED25519.into(), bob.to_public().to_string()];
    let recipients = Recipients::read(&keys).unwrap();
    let sealed = recipients.seal("+drkzqAD").unwrap();
    let text = String::from_utf8(sealed.clone()).unwrap();
    assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"), "{text}");
    assert!(!text.contains("drkzqAD"), "{text}");
    for identity in [&alice, &bob] {
        assert_eq!(open(&sealed, identity).unwrap(), "+drkzqAD");
    }
    assert!(open(&sealed, &eve).is_err());
    assert_ne!(recipients.seal("+drkzqAD").unwrap(), sealed, "two are never alike");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A key that is accepted can also be sealed to.
    #[test]
    fn any_point_is_refused_or_sealed_to(point: [u8; 32]) {
        for key in [age_key_of(point), ssh_key("ssh-ed25519", &[&point])] {
            if let Ok(recipients) = one(&key) {
                recipients.seal("code").unwrap();
            }
        }
    }

    #[test]
    fn any_number_is_refused_or_sealed_to(
        exponent in proptest::collection::vec(any::<u8>(), 0..6),
        modulus in proptest::collection::vec(any::<u8>(), 250..260),
        zeros in 0_usize..3,
    ) {
        let modulus = [vec![0; zeros], modulus].concat();
        if let Ok(recipients) = one(&ssh_key("ssh-rsa", &[&exponent, &modulus])) {
            recipients.seal("code").unwrap();
        }
    }

    #[test]
    fn any_text_is_refused(text in "(age1|ssh-rsa |ssh-ed25519 |)[ -~]{0,80}") {
        prop_assert!(one(&text).is_err());
    }
}
