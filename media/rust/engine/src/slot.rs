//! One half of a slot: one continuous RTP stream to one peer, in which different feeds play.

use crate::command::{AddSlot, Payload};
use crate::output::{Output, Path};
use crate::picture::PictureNumbers;
use crate::repair::budget::Budget;
use crate::repair::cache::CachedPacket;
use crate::repair::echo::BadLine;
use crate::repair::redundancy::Redundancy;
use crate::repair::sent::{SentPicture, SentPictures, SentVoices, Why};
use crate::seqmap::SequenceMap;
use crate::srtp::{Outbound, SrtpError};
use crate::temporal::TemporalFilter;
use crate::time::{Micros, NtpEpoch};
use crate::timeline::Timeline;
use crate::types::{Codec, Feed, Media};
use crate::understood::{Numbers, Understood};
use crate::wire::rtcp;
use crate::wire::rtp::{self, HeaderFields};
use crate::wire::{dependency, red, rtx};
use std::ops::Range;

/// How long an old picture may go on after another was asked for; then an empty picture is the truth.
const OLD_PICTURE_US: i64 = 2 * Micros::SECOND;

/// A packet of a source, decrypted and understood, as all halves that play it get it.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// The whole plain packet.
    pub packet: &'a [u8],
    /// Its payload, without padding.
    pub payload: Range<usize>,
    /// Marker bit.
    pub marker: bool,
    /// No packet after it has come yet.
    pub is_newest: bool,
    /// Extended sequence number.
    pub index: u64,
    /// Unwrapped timestamp.
    pub timestamp: i64,
    /// On the server clock.
    pub captured: Micros,
    /// The audio level extension's octet (RFC 6464), where there is one.
    pub level: Option<u8>,
    /// What the payload is.
    pub codec: Codec,
    /// What was read of it.
    pub understood: Understood,
    /// The dependency descriptor (AV1), where there is one.
    pub dependency: Option<&'a [u8]>,
}

/// What became of a packet in a half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// It was written.
    Sent,
    /// It was written, behind later ones, to a receiver on a bad line: its number here.
    Late(u16),
    /// It was written and is the first of its feed here.
    Switched,
    /// It is not for this half now (another feed plays, or it waits for a key frame).
    NotNow,
}

/// Counters of a half; also what its receiver says of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct HalfCounters {
    /// Packets sent.
    pub packets: u64,
    /// Payload octets sent.
    pub octets: u64,
    /// Feeds begun.
    pub switches: u64,
    /// Packets refused by the nonce guard or lying before a run: must stay near 0.
    pub refused: u64,
    /// Loss in 1/256 by the last receiver report.
    pub fraction_lost: u8,
    /// Packets lost by the last receiver report.
    pub cumulative_lost: i32,
    /// Key frame requests that the receiver sent.
    pub key_frame_requests: u64,
    /// Packets of temporal levels that were not wanted.
    pub left_out: u64,
    /// Packets that carried earlier frames along.
    pub redundant: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Half {
    /// What it was made from.
    pub spec: AddSlot,
    /// Counters.
    pub counters: HalfCounters,
    /// A sender report should go out at once.
    pub report_now: bool,
    /// Which temporal levels are played.
    pub temporal: TemporalFilter,
    wanted: Option<Feed>,
    playing: Option<Feed>,
    /// What the feed that plays is and how it is written: looked up when it begins.
    payload: Option<Payload>,
    wanted_since: Micros,
    sequence: SequenceMap,
    timeline: Timeline,
    pictures: PictureNumbers,
    sent_pictures: SentPictures,
    sent_voices: SentVoices,
    redundancy: Redundancy,
    line: BadLine,
    /// The command number of the receiver's last FIR.
    last_request: Option<u8>,
    /// The extended sequence number of the next retransmission.
    next_rtx: u64,
    /// The receiver has not yet shown by a report that it knows the SSRC.
    mid_needed: bool,
}

/// The random starting points of a half (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug)]
pub struct Beginnings {
    /// First sequence number; the upper half is not used, so that the first roll-over is not near.
    pub sequence: u16,
    /// Timestamp at the server clock's zero.
    pub timestamp: u32,
    /// First picture id.
    pub picture: u16,
    /// First sequence number of retransmissions; see `sequence`.
    pub rtx_sequence: u16,
}

impl Half {
    /// A half that plays nothing.
    #[must_use]
    pub fn new(spec: AddSlot, begin: Beginnings) -> Self {
        let timeline = Timeline::new(spec.clock_rate, spec.media == Media::Video, begin.timestamp);
        Self {
            spec,
            counters: HalfCounters::default(),
            report_now: false,
            temporal: TemporalFilter::default(),
            wanted: None,
            playing: None,
            payload: None,
            wanted_since: Micros(0),
            sequence: SequenceMap::new(u64::from(begin.sequence & 0x7fff)),
            timeline,
            pictures: PictureNumbers::new(begin.picture),
            sent_pictures: SentPictures::default(),
            sent_voices: SentVoices::default(),
            redundancy: Redundancy::default(),
            line: BadLine::default(),
            last_request: None,
            next_rtx: u64::from(begin.rtx_sequence & 0x7fff),
            mid_needed: true,
        }
    }

    /// What is asked for.
    #[must_use]
    pub fn wanted(&self) -> Option<Feed> {
        self.wanted
    }

    /// What is heard or seen.
    #[must_use]
    pub fn playing(&self) -> Option<Feed> {
        self.playing
    }

    /// Ask for another feed. A voice falls silent at once; a picture stays until the key frame of the next
    /// (but not for long), unless nothing is asked for.
    pub fn want(&mut self, feed: Option<Feed>, now: Micros) {
        if self.wanted == feed {
            return;
        }
        self.wanted = feed;
        self.wanted_since = now;
        if feed.is_none() || self.spec.media == Media::Audio {
            self.playing = None;
        }
    }

    /// The feed ceased to exist.
    pub fn lose(&mut self, feed: Feed) {
        if self.wanted == Some(feed) {
            self.wanted = None;
        }
        if self.playing == Some(feed) {
            self.playing = None;
        }
    }

    /// The feed's RTP stream was replaced by another: what comes next is a new run.
    pub fn begin_again(&mut self, feed: Feed) {
        if self.playing == Some(feed) {
            self.playing = None;
        }
    }

    /// True when a key frame of `feed` would help.
    #[must_use]
    pub fn waits_for_key_frame(&self, feed: Feed) -> bool {
        self.spec.media == Media::Video && self.wanted == Some(feed) && self.playing != Some(feed)
    }

    /// Read what [`Self::forward`] will need, and do nothing with it. See [`crate::shard`]'s `forward.rs`.
    #[must_use]
    pub fn look(&self) -> u64 {
        let sent = match self.spec.media {
            Media::Audio => self.sent_voices.look(self.sequence.next()),
            Media::Video => self.sent_pictures.look(self.sequence.next()),
        };
        sent ^ self.sequence.look() ^ self.pictures.look() ^ self.timeline.look() ^ self.counters.octets
    }

    /// A packet of `feed`: write it into `out` with this half's own header, protected.
    pub fn forward(
        &mut self,
        feed: Feed,
        incoming: &Incoming<'_>,
        srtp: &mut Outbound,
        path: Path,
        out: &mut Output,
        now: Micros,
    ) -> Result<Forwarded, SrtpError> {
        let Some(payload) = self.payload_for(incoming.codec) else { return Ok(Forwarded::NotNow) };
        let begins = self.playing != Some(feed);
        if begins {
            if self.wanted != Some(feed) || !self.may_begin(incoming) {
                return Ok(Forwarded::NotNow);
            }
            self.begin(feed, incoming.index);
            self.payload = Some(payload);
        } else if self.wanted != Some(feed) && now.since(self.wanted_since) > OLD_PICTURE_US {
            self.playing = None;
            return Ok(Forwarded::NotNow);
        }
        let Understood { numbers, begins_key_frame, frame } = &incoming.understood;
        if !self.temporal.passes(incoming.timestamp, *frame, *begins_key_frame) {
            self.sequence.skip(incoming.index);
            if let Some(own) = numbers.to_close() {
                self.pictures.skip(own);
            }
            self.counters.left_out += 1;
            return Ok(Forwarded::NotNow);
        }
        let own = numbers.own();
        let mapped = own.and_then(|own| self.pictures.map(own));
        if own.is_some() != mapped.is_some() {
            self.counters.refused += 1;
            return Ok(Forwarded::NotNow);
        }
        let next = self.sequence.next();
        let Some(index) = self.sequence.map(incoming.index) else {
            self.counters.refused += 1;
            return Ok(Forwarded::NotNow);
        };
        let timestamp = self.timeline.map(incoming.timestamp, incoming.captured, now) as u32;
        let start = out.start();
        let red = self.spec.red_payload_type.filter(|_| self.redundancy.is_on());
        let fields = HeaderFields {
            marker: incoming.marker,
            payload_type: red.unwrap_or(payload.payload_type),
            sequence: index as u16,
            timestamp,
            ssrc: self.spec.ssrc,
        };
        let dependency = incoming.dependency.zip(mapped).map(|(value, (number, _))| (value, number));
        self.write_header(&fields, incoming.level, dependency, now, &mut out.arena);
        let header_len = out.arena.len() - start;
        let octets = &incoming.packet[incoming.payload.clone()];
        if red.is_some() {
            let (earlier, count) = self.redundancy.earlier(timestamp, octets.len());
            self.counters.redundant += u64::from(count > 0);
            red::write(&mut out.arena, payload.payload_type, &earlier[..count], octets);
        } else {
            out.arena.extend_from_slice(octets);
        }
        if self.spec.red_payload_type.is_some() {
            self.redundancy.put(timestamp, octets);
        }
        if let Some(mapped) = mapped {
            numbers.rewrite(&mut out.arena[start + header_len..], mapped);
        }
        let sent_len = out.arena.len() - start - header_len;
        if let Err(error) = srtp.protect_rtp(&mut out.arena, start, header_len, self.spec.ssrc, index) {
            self.counters.refused += 1;
            return Err(error);
        }
        if self.spec.nack {
            match self.spec.media {
                Media::Audio => self.sent_voices.put(index, &out.arena[start..], now),
                Media::Video => {
                    let sent = SentPicture {
                        slot_index: index,
                        feed,
                        source_index: incoming.index,
                        timestamp,
                        numbers: mapped,
                    };
                    self.sent_pictures.put(sent, now);
                }
            }
        }
        out.finish_media(start, path, self.spec.media == Media::Video);
        self.counters.packets += 1;
        self.counters.octets += sent_len as u64;
        if begins {
            self.counters.switches += 1;
            self.report_now = true;
            return Ok(Forwarded::Switched);
        }
        let is_late = index < next && self.line.is_bad();
        Ok(if is_late { Forwarded::Late(index as u16) } else { Forwarded::Sent })
    }

    /// The receiver misses a packet of this half: send it again, if it is still there and the budget gives it. A
    /// picture's packet leaves as a retransmission (RFC 4588), a voice's as it was.
    ///
    /// `find` looks a packet up in the cache of a feed. Gives whether the budget allowed what was found, `None`
    /// when there was nothing to send.
    #[allow(clippy::too_many_arguments, reason = "one call; a struct for it would only rename the arguments")]
    pub fn resend<'a>(
        &mut self,
        sequence: u16,
        why: Why,
        find: impl FnOnce(Feed, u64) -> Option<(Codec, &'a CachedPacket)>,
        budget: &mut Budget,
        srtp: &mut Outbound,
        path: Path,
        out: &mut Output,
        now: Micros,
    ) -> Option<bool> {
        if self.spec.media == Media::Audio {
            let protected = self.sent_voices.again(sequence, why, now)?;
            let may = budget.spend(protected.len(), now);
            if may {
                out.send(protected, path);
            }
            return Some(may);
        }
        let ssrc = self.spec.rtx_ssrc?;
        let sent = self.sent_pictures.again(sequence, why, now)?;
        let (codec, packet) = find(sent.feed, sent.source_index)?;
        let payload_type =
            self.spec.payloads.iter().find(|payload| payload.codec == codec)?.rtx_payload_type?;
        if !budget.spend(packet.payload.len(), now) {
            return Some(false);
        }
        let fields = HeaderFields {
            marker: packet.marker,
            payload_type,
            sequence: self.next_rtx as u16,
            timestamp: sent.timestamp,
            ssrc,
        };
        let start = out.start();
        let dependency = (!packet.dependency.is_empty()).then_some(&packet.dependency[..]);
        let dependency = dependency.zip(sent.numbers).map(|(value, (number, _))| (value, number));
        self.write_header(&fields, None, dependency, now, &mut out.arena);
        let header_len = out.arena.len() - start;
        rtx::write(&mut out.arena, sequence, &packet.payload);
        let payload = out.arena.len() - packet.payload.len();
        if let (Some(mapped), Ok(numbers)) = (sent.numbers, Numbers::of(codec, &packet.payload)) {
            numbers.rewrite(&mut out.arena[payload..], mapped);
        }
        let index = self.next_rtx;
        self.next_rtx += 1;
        if srtp.protect_rtp(&mut out.arena, start, header_len, ssrc, index).is_err() {
            self.counters.refused += 1;
            return None;
        }
        out.finish_media(start, path, true);
        Some(true)
    }

    /// Whether the line to the receiver is bad, so that what it gets late or again is echoed.
    #[must_use]
    pub fn is_line_bad(&self) -> bool {
        self.line.is_bad()
    }

    /// A packet of the feed that is not forwarded (padding alone): close the gap it would leave.
    pub fn skip(&mut self, feed: Feed, index: u64) {
        if self.playing == Some(feed) {
            self.sequence.skip(index);
        }
    }

    /// Whether a FIR with this command number is another request than the one before.
    pub fn is_new_request(&mut self, number: u8) -> bool {
        self.last_request.replace(number) != Some(number)
    }

    /// The receiver reported on this half.
    pub fn on_report(&mut self, block: &rtcp::ReportBlock) {
        self.mid_needed = false;
        let asked = self.sent_pictures.asked + self.sent_voices.asked;
        let lost = self.line.on_report(block.fraction_lost, self.counters.packets, asked);
        self.redundancy.on_report(lost);
        self.counters.fraction_lost = block.fraction_lost;
        self.counters.cumulative_lost = block.cumulative_lost;
    }

    /// Append a sender report (RFC 3550 section 6.4.1) to a compound packet; false when nothing was ever sent.
    pub fn write_report(&mut self, compound: &mut Vec<u8>, now: Micros, epoch: NtpEpoch) -> bool {
        let Some(timestamp) = self.timeline.at(now) else { return false };
        self.report_now = false;
        let info = rtcp::SenderInfo {
            ssrc: self.spec.ssrc,
            ntp: now.to_ntp(epoch),
            rtp_timestamp: timestamp,
            packets: self.counters.packets as u32,
            octets: self.counters.octets as u32,
        };
        rtcp::write_sender_report(compound, &info, &[]);
        true
    }

    fn payload_for(&self, codec: Codec) -> Option<Payload> {
        self.payload
            .filter(|payload| payload.codec == codec)
            .or_else(|| self.spec.payloads.iter().copied().find(|payload| payload.codec == codec))
    }

    fn may_begin(&self, incoming: &Incoming<'_>) -> bool {
        match self.spec.media {
            // A voice keeps the distance from the clock that it begins with until it pauses: a packet that comes late
            // would have to be put after what was sent, and all that follows would be as late as it is.
            Media::Audio => incoming.is_newest,
            Media::Video => incoming.understood.begins_key_frame,
        }
    }

    fn begin(&mut self, feed: Feed, index: u64) {
        self.playing = Some(feed);
        self.sequence.begin(index);
        self.timeline.begin();
        self.pictures.begin();
        self.temporal.begin();
        self.redundancy.begin();
    }

    /// `dependency`: a descriptor, and the frame number that it gets here.
    fn write_header(
        &self,
        fields: &HeaderFields,
        level: Option<u8>,
        dependency: Option<(&[u8], u16)>,
        now: Micros,
        arena: &mut Vec<u8>,
    ) {
        let send_time = send_time(now);
        let level_octet = [level.unwrap_or(127)];
        // An extension's value is never longer than this (RFC 8285 section 4.3).
        let mut renumbered = [0; 255];
        let dependency = dependency.and_then(|(value, number)| {
            let copy = renumbered.get_mut(..value.len())?;
            copy.copy_from_slice(value);
            dependency::renumber(copy, number);
            Some(&*copy)
        });
        let mut extensions: [(u8, &[u8]); 4] = [(0, &[]); 4];
        let mut count = 0;
        let mut push = |id: Option<u8>, value| {
            if let Some(id) = id {
                extensions[count] = (id, value);
                count += 1;
            }
        };
        push(self.spec.send_time_extension, &send_time);
        if level.is_some() {
            push(self.spec.level_extension, &level_octet);
        }
        if self.mid_needed {
            push(self.spec.mid_extension, self.spec.mid.as_bytes());
        }
        if let Some(value) = dependency {
            push(self.spec.dependency_extension, value);
        }
        // It fails only for an extension that can't be written; negotiation gives ids and mids that can.
        if rtp::write_header(arena, fields, &extensions[..count]).is_err() {
            let _ = rtp::write_header(arena, fields, &[]);
        }
    }
}

/// The abs-send-time extension: 24 bits of seconds in 6.18 fixed point.
fn send_time(now: Micros) -> [u8; 3] {
    // It wraps after 64 s, so whole rounds may be left out, and 64 bits do.
    let fixed = ((now.0.rem_euclid(64 * Micros::SECOND) << 18) / Micros::SECOND) as u32;
    let [_, high, mid, low] = fixed.to_be_bytes();
    [high, mid, low]
}
