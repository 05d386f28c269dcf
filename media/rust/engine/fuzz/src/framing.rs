//! Datagrams on a byte stream: whatever the cutting, the frames are the same.

use luokkasilta_engine::wire::framing::{Deframer, FramingError, MAX_BUFFERED, MAX_FRAME, write_frame};

type Found = (Vec<Vec<u8>>, Option<FramingError>);

fn take(deframer: &mut Deframer, found: &mut Found) {
    while let Some(frame) = deframer.next_frame() {
        assert!(found.1.is_none(), "nothing comes after an error");
        match frame {
            Ok(frame) => {
                assert!((1..=MAX_FRAME).contains(&frame.len()));
                found.0.push(frame.to_vec());
            }
            Err(error) => found.1 = Some(error),
        }
    }
}

/// The target: the first octets are the lengths of pieces, the rest is the stream.
pub fn framing(data: &[u8]) {
    let (cuts, stream) = data.split_at(data.len().min(8));
    let stream = &stream[..stream.len().min(MAX_BUFFERED)];
    let mut whole = Found::default();
    let mut deframer = Deframer::new();
    deframer.push(stream);
    take(&mut deframer, &mut whole);
    assert!(deframer.buffered() <= stream.len());

    let mut cut = Found::default();
    let mut deframer = Deframer::new();
    let mut rest = stream;
    for len in cuts.iter().cycle().take(2 * data.len()) {
        if rest.is_empty() {
            break;
        }
        let (piece, tail) = rest.split_at((usize::from(*len) + 1).min(rest.len()));
        deframer.push(piece);
        take(&mut deframer, &mut cut);
        assert!(deframer.buffered() <= MAX_FRAME + 1, "less than a frame waits once all are taken");
        rest = tail;
    }
    assert_eq!(cut, whole);

    let mut again = Vec::new();
    for frame in &whole.0 {
        write_frame(&mut again, frame).expect("as long as it came");
    }
    let mut read = Found::default();
    let mut deframer = Deframer::new();
    deframer.push(&again);
    take(&mut deframer, &mut read);
    assert_eq!(read, (whole.0, None));
}
