//! RTP headers and header extensions.

use luokkasilta_engine::wire::rtp::{FIXED_HEADER_LEN, Header, HeaderFields, write_header};

/// The target `rtp`: a whole packet.
pub fn rtp(data: &[u8]) {
    let Ok(header) = Header::parse(data) else { return };
    assert!((FIXED_HEADER_LEN..=data.len()).contains(&header.payload_offset));
    if let Some((_, range)) = &header.extension {
        assert!(range.start <= range.end && range.end == header.payload_offset);
    }
    if let Ok(payload) = header.payload(data) {
        assert!(payload.start == header.payload_offset && payload.end <= data.len());
        assert_eq!(header.has_padding, payload.end < data.len(), "padding is what follows");
    }
    let elements: Vec<(u8, &[u8])> = header.extensions(data).collect();
    assert!(elements.len() <= data.len());

    let fields = HeaderFields {
        marker: header.marker,
        payload_type: header.payload_type,
        sequence: header.sequence,
        timestamp: header.timestamp,
        ssrc: header.ssrc,
    };
    let mut again = vec![0xff; 3];
    if write_header(&mut again, &fields, &elements).is_err() {
        assert_eq!(again, [0xff; 3], "nothing is left behind");
        assert!(elements.iter().any(|(id, _)| *id == 0), "only an id of 0 can't be written again");
        return;
    }
    let written = Header::parse(&again[3..]).expect("what was written");
    let read = HeaderFields {
        marker: written.marker,
        payload_type: written.payload_type,
        sequence: written.sequence,
        timestamp: written.timestamp,
        ssrc: written.ssrc,
    };
    assert_eq!(read, fields);
    assert_eq!(written.payload_offset, again.len() - 3);
    assert_eq!(written.extensions(&again[3..]).collect::<Vec<_>>(), elements);
}

/// The target `extensions`: a form and the block alone, so that nothing is spent on finding a header.
pub fn extensions(data: &[u8]) {
    let Some((&form, block)) = data.split_first() else { return };
    let profile: u16 = match form {
        0..=99 => 0xbede,
        100..=199 => 0x1000 | u16::from(form & 0x0f),
        other => u16::from_be_bytes([other, block.first().copied().unwrap_or(0)]),
    };
    let words = block.len().div_ceil(4).min(1_000);
    let mut packet = vec![0x90, 96];
    packet.resize(FIXED_HEADER_LEN, 0);
    packet.extend_from_slice(&profile.to_be_bytes());
    packet.extend_from_slice(&(words as u16).to_be_bytes());
    packet.extend(block.iter().take(words * 4));
    packet.resize(FIXED_HEADER_LEN + 4 + words * 4, 0);
    let header = Header::parse(&packet).expect("a header with a block");
    assert_eq!(header.payload_offset, packet.len());
    let known = profile == 0xbede || profile & 0xfff0 == 0x1000;
    assert!(known || header.extensions(&packet).next().is_none(), "a form nobody knows");
    rtp(&packet);
}
