//! What is not as it was written is noticed, and what is not understood is refused.

use expect_test::{Expect, expect};

use super::*;

#[test]
fn every_bit_that_flips_is_noticed() {
    let object = object(slot(1, 1));
    assert!(opened(&object).is_ok());
    for bit in 0..object.len() * 8 {
        let mut flipped = object.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(opened(&flipped), Err(Unreadable::Damaged(_))), "bit {bit}");
    }
}

#[test]
fn every_truncation_is_noticed() {
    let object = object(slot(1, 1));
    for length in 0..object.len() {
        assert!(matches!(opened(&object[..length]), Err(Unreadable::Damaged(_))), "{length} bytes");
    }
    assert!(opened(&[&object[..], &[0]].concat()).is_err());
    assert!(opened(&object.repeat(2)).is_err());
}

fn check(object: Vec<u8>, expected: Expect) {
    let read = opened(&object).and_then(|checkpoint| checkpoint.contents());
    expected.assert_eq(&read.map_or_else(|why| why.to_string(), |contents| format!("{contents:?}")));
}

/// With a hash that is right, as another program could have written it.
fn sealed(mut content: Vec<u8>) -> Vec<u8> {
    let hash = blake3::hash(&content);
    content.extend_from_slice(hash.as_bytes());
    content
}

fn unsealed(object: Vec<u8>) -> Vec<u8> {
    object[..object.len() - 32].to_vec()
}

#[test]
fn a_later_version_is_refused_by_its_number() {
    let mut later = unsealed(object(slot(1, 1)));
    later[20] = 9;
    check(
        sealed(later.clone()),
        expect!["it is of format version=9, this program knows versions up to 1; use the program that wrote it"],
    );
    // Whatever it has between its number and its hash.
    check(
        sealed(later[..24].to_vec()),
        expect!["it is of format version=9, this program knows versions up to 1; use the program that wrote it"],
    );
    later[20] = 0;
    check(sealed(later), expect!["it is damaged: it does not begin as a checkpoint does"]);
    check(
        sealed(b"something else that has its hash".to_vec()),
        expect!["it is damaged: it does not begin as a checkpoint does"],
    );
}

#[test]
fn a_section_that_is_not_known_is_refused_where_it_must_be_understood() {
    let with = |is_mandatory| {
        let mut encoder = Encoder::new(&header(slot(1, 1)));
        encoder.other_section(77, is_mandatory, b"of a later program");
        encoder.finish()
    };
    check(with(false), expect!["Contents { outputs: 0, windows: 0, groups: 0 }"]);
    check(
        with(true),
        expect![
            "it holds a section of kind=77, which must be understood and is not known here; use the program that wrote it"
        ],
    );
}

#[test]
fn sections_that_no_program_writes_are_damage() {
    let with = |kind, bytes: &[u8]| {
        let mut encoder = Encoder::new(&header(slot(1, 1)));
        encoder.other_section(kind, true, bytes);
        encoder.finish()
    };
    check(with(records::HEADER, &[]), expect!["it is damaged: it has two headers"]);
    check(with(records::WINDOWS, &[]), expect!["it is damaged: a section does not say whose windows it has"]);
    check(with(records::WINDOWS, &[1, 0]), expect!["it is damaged: a section ends within a record"]);
    check(
        with(records::WINDOWS, &[255, 255, 255, 255, 0]),
        expect!["it is damaged: a record is longer than its section"],
    );
    check(with(records::WINDOWS, &[4, 0, 0, 0, 0, 0, 0, 0]), expect!["it is damaged: a record has 1 bytes too many"]);
    check(
        with(records::WINDOWS, &[3, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9]),
        expect!["it is damaged: a record: Serde Deserialization Error"],
    );
    check(
        sealed(unsealed(object(slot(1, 1)))[..24].to_vec()),
        expect!["it is damaged: it does not begin with its header"],
    );
}

#[test]
fn bytes_at_random_are_damage_and_no_panic() {
    let object = unsealed(object(slot(1, 1)));
    for seed in 0..5000 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let mut bytes = object.clone();
        let place = rng.usize(24..bytes.len());
        bytes[place] ^= rng.u8(1..);
        assert!(matches!(opened(&sealed(bytes)), Err(Unreadable::Damaged(_))), "seed {seed}");
        // Within a section whose checksum is right, anything may be read, and nothing of it breaks.
        let mut encoder = Encoder::new(&header(slot(1, 1)));
        let mut record = vec![rng.u8(0..20), 0, 0, 0];
        record.extend((0..rng.usize(0..200)).map(|_| rng.u8(..) >> rng.u8(0..8)));
        encoder.other_section(records::WINDOWS, true, &record);
        let read = opened(&encoder.finish()).and_then(|checkpoint| checkpoint.contents());
        assert!(matches!(read, Ok(_) | Err(Unreadable::Damaged(_))), "seed {seed}");
    }
}
