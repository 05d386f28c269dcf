//! Vectors, malformed twins, and the property that no cutting of a stream changes its frames.

use super::*;
use crate::testing::proptest_config;
use crate::wire::testing::hex;
use proptest::prelude::*;

/// All frames that are there now, and the error behind them.
fn take(deframer: &mut Deframer) -> (Vec<Vec<u8>>, Option<FramingError>) {
    let mut frames = Vec::new();
    while let Some(frame) = deframer.next_frame() {
        match frame {
            Ok(frame) => frames.push(frame.to_vec()),
            Err(error) => return (frames, Some(error)),
        }
    }
    (frames, None)
}

fn all(stream: &[u8]) -> (Vec<Vec<u8>>, Option<FramingError>) {
    let mut deframer = Deframer::new();
    deframer.push(stream);
    take(&mut deframer)
}

#[test]
fn frames_of_rfc_4571() {
    // A STUN header, a DTLS record's beginning, and one octet.
    let stream = hex("0014 0001000021 12a442 000102030405060708090a0b  0005 16fefd0000  0001 80");
    let (frames, error) = all(&stream);
    assert_eq!(error, None);
    assert_eq!(frames, [hex("0001000021 12a442 000102030405060708090a0b"), hex("16fefd0000"), hex("80")]);
}

#[test]
fn an_incomplete_frame_waits() {
    let mut deframer = Deframer::new();
    for piece in ["00", "02", "80"] {
        deframer.push(&hex(piece));
        assert_eq!(take(&mut deframer), (vec![], None));
    }
    assert_eq!(deframer.buffered(), 3);
    deframer.push(&hex("81 00"));
    assert_eq!(take(&mut deframer), (vec![hex("8081")], None));
    assert_eq!(deframer.buffered(), 1);
}

#[test]
fn the_longest_frame_and_its_malformed_twin() {
    let longest = vec![0x80; MAX_FRAME];
    let mut stream = Vec::new();
    write_frame(&mut stream, &longest).expect("not too long");
    assert_eq!(all(&stream), (vec![longest.clone()], None));

    let too_long = [&[0x08, 0x01][..], &longest, &[0x80]].concat();
    assert_eq!(all(&too_long), (vec![], Some(FramingError::TooLong)));
    // Its length alone condemns it.
    assert_eq!(all(&hex("0001 80 0801")), (vec![hex("80")], Some(FramingError::TooLong)));
    assert_eq!(all(b"GET / HTTP/1.1\r\n\r\n"), (vec![], Some(FramingError::TooLong)));

    let before = stream.clone();
    assert_eq!(write_frame(&mut stream, &vec![0; MAX_FRAME + 1]), Err(FramingError::TooLong));
    assert_eq!(stream, before);
}

#[test]
fn empty_frames_are_passed_over_within_reason() {
    let empty = |count: u32| vec![0; count as usize * LENGTH];
    let one = hex("0001 80");
    let reasonable = [empty(MAX_EMPTY), one.clone(), empty(MAX_EMPTY), one.clone()].concat();
    assert_eq!(all(&reasonable), (vec![hex("80"), hex("80")], None));
    let unreasonable = [one, empty(MAX_EMPTY + 1), hex("0001 81")].concat();
    assert_eq!(all(&unreasonable), (vec![hex("80")], Some(FramingError::OnlyEmpty)));
}

#[test]
fn an_error_is_told_once_and_ends_it() {
    let mut deframer = Deframer::new();
    deframer.push(&hex("ffff 00"));
    assert_eq!(take(&mut deframer), (vec![], Some(FramingError::TooLong)));
    deframer.push(&hex("0001 80"));
    assert_eq!(take(&mut deframer), (vec![], None));
    assert_eq!(deframer.buffered(), 0);
}

#[test]
fn what_nobody_takes_is_bounded() {
    let mut deframer = Deframer::new();
    let mut frame = Vec::new();
    write_frame(&mut frame, &[0x80; 1_022]).expect("not too long");
    for _ in 0..1_000 {
        deframer.push(&frame);
        assert!(deframer.buffered() <= MAX_BUFFERED);
    }
    let (frames, error) = take(&mut deframer);
    assert_eq!((frames.len(), error), (MAX_BUFFERED / frame.len(), Some(FramingError::NotTaken)));
}

fn datagrams() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..MAX_FRAME), 0..6)
}

/// Push the stream in pieces of these lengths, over and over, taking the frames after each.
fn in_pieces(stream: &[u8], lengths: &[usize]) -> (Vec<Vec<u8>>, Option<FramingError>) {
    let mut deframer = Deframer::new();
    let mut frames = Vec::new();
    let mut rest = stream;
    for &len in lengths.iter().cycle() {
        let (piece, after) = rest.split_at(len.min(rest.len()));
        rest = after;
        deframer.push(piece);
        let (more, error) = take(&mut deframer);
        frames.extend(more);
        assert!(deframer.buffered() < LENGTH + MAX_FRAME);
        if error.is_some() || rest.is_empty() {
            return (frames, error);
        }
    }
    (frames, None)
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn any_cutting_gives_the_same_frames(
        datagrams in datagrams(),
        lengths in proptest::collection::vec(1..3_000_usize, 1..20),
    ) {
        let mut stream = Vec::new();
        for datagram in &datagrams {
            write_frame(&mut stream, datagram).expect("not too long");
        }
        prop_assert_eq!(in_pieces(&stream, &lengths), (datagrams, None));
    }

    #[test]
    fn any_octets_are_read_the_same_however_cut(
        // Short lengths and zeros are likely, so that frames, empty ones and errors all occur.
        stream in proptest::collection::vec(prop_oneof![Just(0_u8), 0..9_u8, any::<u8>()], 0..4_000),
        lengths in proptest::collection::vec(1..700_usize, 1..20),
    ) {
        prop_assert_eq!(in_pieces(&stream, &lengths), all(&stream));
    }
}
