//! What a half of a slot sent in the last second, by sequence number, for a receiver that asks again.

use super::WORTH_US;
use crate::time::Micros;
use crate::types::Feed;

/// Pictures' packets remembered at most; as many as a layer's cache holds.
const PICTURES: usize = super::cache::PACKETS;
/// Voices' packets remembered at most: a second and a quarter at 20 ms each.
const VOICES: usize = 64;
/// Places of a half that has sent little; there are twice as many whenever a second does not fit, up to the most.
const FIRST: usize = 16;
/// A packet is not sent again for a question that comes sooner than this after it was sent again: they crossed.
const PATIENCE_US: i64 = 20_000;
/// Times that one packet is sent again.
const MAX_RESENT: u8 = 10;

/// Why a packet leaves again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The receiver asked for it.
    Asked,
    /// See `echo`.
    Echo,
}

/// When a packet left, and how often it left again.
#[derive(Clone, Copy, Debug, Default)]
struct Leaving {
    first: Micros,
    last: Micros,
    again: u8,
}

impl Leaving {
    fn new(now: Micros) -> Self {
        Self { first: now, last: now, again: 0 }
    }

    /// Counts as sent again, if it may be.
    fn again(&mut self, why: Why, now: Micros) -> bool {
        let may = now.since(self.first) <= WORTH_US
            && self.again < MAX_RESENT
            && (self.again == 0 || why == Why::Echo || now.since(self.last) >= PATIENCE_US);
        if may {
            self.again += 1;
            self.last = now;
        }
        may
    }
}

/// How a packet of a picture was written, so that it can be written again as a retransmission.
#[derive(Clone, Copy, Debug)]
pub struct SentPicture {
    /// The slot's extended sequence number.
    pub slot_index: u64,
    /// Where it came from.
    pub feed: Feed,
    /// Its extended sequence number there.
    pub source_index: u64,
    /// The slot's timestamp.
    pub timestamp: u32,
    /// The slot's picture id and TL0PICIDX, or its frame number.
    pub numbers: Option<(u16, u8)>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct SentPictures {
    /// At `slot_index` modulo their number.
    places: Vec<Option<(SentPicture, Leaving)>>,
    highest: u64,
    /// Packets that were asked for, each once.
    pub asked: u64,
}

impl SentPictures {
    /// A packet left.
    pub fn put(&mut self, sent: SentPicture, now: Micros) {
        let of = |place: &Option<(SentPicture, Leaving)>| {
            place.as_ref().map(|(sent, leaving)| (sent.slot_index, leaving.first))
        };
        let place = make_room(&mut self.places, sent.slot_index, now, PICTURES, of);
        self.highest = self.highest.max(sent.slot_index);
        self.places[place] = Some((sent, Leaving::new(now)));
    }

    /// Read the place that the packet with this number will have.
    #[must_use]
    pub fn look(&self, slot_index: u64) -> u64 {
        let place = self.places.get(place_of(slot_index, self.places.len()));
        place.and_then(Option::as_ref).map_or(0, |(sent, leaving)| sent.slot_index ^ u64::from(leaving.again))
    }

    /// How the packet that the receiver misses was written, if it may be sent again; it counts as sent again.
    pub fn again(&mut self, sequence: u16, why: Why, now: Micros) -> Option<SentPicture> {
        let index = below(self.highest, sequence)?;
        let place = place_of(index, self.places.len());
        let (sent, leaving) = self.places.get_mut(place)?.as_mut()?;
        let may = sent.slot_index == index && leaving.again(why, now);
        self.asked += u64::from(may && why == Why::Asked && leaving.again == 1);
        may.then_some(*sent)
    }
}

/// Voices: the protected octets themselves. Without RTX a packet can only leave again as it was, because an SRTP
/// index must never protect two texts.
#[derive(Debug, Default)]
pub struct SentVoices {
    /// At `index` modulo their number.
    places: Vec<(u64, Leaving, Vec<u8>)>,
    highest: u64,
    /// Packets that were asked for, each once.
    pub asked: u64,
}

impl SentVoices {
    /// A packet left.
    pub fn put(&mut self, index: u64, protected: &[u8], now: Micros) {
        let of = |place: &(u64, Leaving, Vec<u8>)| {
            let (index, leaving, octets) = place;
            (!octets.is_empty()).then_some((*index, leaving.first))
        };
        let place = make_room(&mut self.places, index, now, VOICES, of);
        self.highest = self.highest.max(index);
        let kept = &mut self.places[place];
        kept.0 = index;
        kept.1 = Leaving::new(now);
        kept.2.clear();
        kept.2.extend_from_slice(protected);
    }

    /// Read the place that the packet with this number will have.
    #[must_use]
    pub fn look(&self, index: u64) -> u64 {
        let place = self.places.get(place_of(index, self.places.len()));
        place.map_or(0, |(kept, _, octets)| kept ^ octets.first().copied().map_or(0, u64::from))
    }

    /// The packet that the receiver misses, if it may be sent again; it counts as sent again.
    pub fn again(&mut self, sequence: u16, why: Why, now: Micros) -> Option<&[u8]> {
        let index = below(self.highest, sequence)?;
        let place = place_of(index, self.places.len());
        let (kept, leaving, octets) = self.places.get_mut(place)?;
        let may = *kept == index && !octets.is_empty() && leaving.again(why, now);
        self.asked += u64::from(may && why == Why::Asked && leaving.again == 1);
        may.then_some(octets)
    }
}

fn place_of(index: u64, places: usize) -> usize {
    (index % places.max(1) as u64) as usize
}

/// The place for the packet of this number, with what a second needs beside it, up to `most`. `of` says which packet is
/// in a place, and when it left.
fn make_room<P: Default>(
    places: &mut Vec<P>,
    index: u64,
    now: Micros,
    most: usize,
    of: impl Fn(&P) -> Option<(u64, Micros)>,
) -> usize {
    let is_wanted =
        |place: &P| of(place).is_some_and(|(other, left)| other != index && now.since(left) <= WORTH_US);
    while places.is_empty() || (places.len() < most && is_wanted(&places[place_of(index, places.len())])) {
        let count = (places.len() * 2).max(FIRST);
        let mut more = Vec::with_capacity(count);
        more.resize_with(count, P::default);
        for place in places.drain(..) {
            if let Some((other, _)) = of(&place) {
                more[place_of(other, count)] = place;
            }
        }
        *places = more;
    }
    place_of(index, places.len())
}

/// The number at or below `highest` that ends in `sequence`.
fn below(highest: u64, sequence: u16) -> Option<u64> {
    highest.checked_sub(u64::from((highest as u16).wrapping_sub(sequence)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000;
    const FEED: Feed = Feed { source: 1, layer: 0 };

    fn picture(slot_index: u64) -> SentPicture {
        SentPicture { slot_index, feed: FEED, source_index: slot_index + 7, timestamp: 9, numbers: None }
    }

    #[test]
    fn a_picture_is_found_by_its_sequence_number_over_a_wrap() {
        let mut sent = SentPictures::default();
        for index in 65_500..65_600 {
            sent.put(picture(index), Micros(0));
        }
        assert_eq!(sent.again(65_535, Why::Asked, Micros(0)).expect("sent").source_index, 65_542);
        assert_eq!(sent.again(3, Why::Asked, Micros(0)).expect("sent").slot_index, 65_539);
        assert!(sent.again(200, Why::Asked, Micros(0)).is_none(), "not sent yet");
    }

    #[test]
    fn the_same_question_twice_in_a_moment_is_one_question_and_no_packet_leaves_for_ever() {
        let mut sent = SentPictures::default();
        sent.put(picture(5), Micros(0));
        assert!(sent.again(5, Why::Asked, Micros(0)).is_some());
        assert!(sent.again(5, Why::Asked, Micros(PATIENCE_US - 1)).is_none());
        let times = (1..100).filter(|n| sent.again(5, Why::Asked, Micros(n * PATIENCE_US)).is_some()).count();
        assert_eq!(times, usize::from(MAX_RESENT) - 1);
        sent.put(picture(6), Micros(0));
        assert!(sent.again(6, Why::Asked, Micros(WORTH_US + 1)).is_none(), "too late to be played");
    }

    #[test]
    fn a_voice_leaves_again_as_it_was() {
        let mut sent = SentVoices::default();
        for index in 0..100_u64 {
            sent.put(index, &[index as u8; 3], Micros(0));
        }
        assert_eq!(sent.again(99, Why::Asked, Micros(0)), Some(&[99; 3][..]));
        assert_eq!(sent.again(36, Why::Asked, Micros(0)), Some(&[36; 3][..]));
        assert_eq!(sent.again(35, Why::Asked, Micros(0)), None, "overwritten");
        assert_eq!(sent.again(100, Why::Asked, Micros(0)), None, "not sent yet");
        assert_eq!(SentVoices::default().again(0, Why::Asked, Micros(0)), None);
    }

    #[test]
    fn there_are_as_many_places_as_a_second_needs() {
        for (gap_ms, expected) in [(100, 16), (20, 64), (6, 256), (1, PICTURES as i64)] {
            let mut pictures = SentPictures::default();
            let mut voices = SentVoices::default();
            for n in 0..3_000 {
                let now = Micros(n * gap_ms * MS);
                let number = 70_000 + n as u64;
                pictures.put(picture(number), now);
                voices.put(number, &number.to_be_bytes(), now);
                // Those of the last second are there, unless there are more than the most.
                let oldest =
                    |most: usize| n.checked_sub((1_000 / gap_ms).min(most as i64 - 1)).filter(|n| *n >= 0);
                if let Some(oldest) = oldest(PICTURES) {
                    let found = pictures.again((70_000 + oldest) as u16, Why::Asked, now).expect("sent");
                    assert_eq!(found.slot_index, 70_000 + oldest as u64);
                }
                if let Some(oldest) = oldest(VOICES) {
                    assert!(
                        voices.again((70_000 + oldest) as u16, Why::Asked, now).is_some(),
                        "{oldest} of {n}"
                    );
                }
            }
            assert_eq!(pictures.places.capacity() as i64, expected, "every {gap_ms} ms");
            assert_eq!(voices.places.capacity() as i64, expected.min(VOICES as i64));
        }
    }
}
