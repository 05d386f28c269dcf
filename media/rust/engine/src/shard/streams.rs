//! Which layer of which source an authenticated RTP packet belongs to.

use super::Shard;
use crate::output::Output;
use crate::peer::Stream;
use crate::time::Micros;
use crate::types::Feed;
use crate::wire::rtp::Header;

impl Shard {
    /// By its SSRC, else by what its extensions say, which is then remembered (RFC 8843 section 9.2, RFC 8852).
    /// An SSRC that says nothing and was not announced is not accepted, nor is another payload type.
    pub(super) fn find_stream(
        &mut self,
        key: usize,
        header: &Header,
        packet: &[u8],
        now: Micros,
        out: &mut Output,
    ) -> Option<Stream> {
        if let Some(&stream) = self.peers[key].streams.get(&header.ssrc) {
            let spec = &self.sources[stream.source].spec;
            let expected = if stream.is_rtx {
                spec.rtx_payload_type == Some(header.payload_type)
            } else {
                spec.carries(header.payload_type)
            };
            return expected.then_some(stream);
        }
        let value_of = |id: Option<u8>| {
            id.and_then(|id| {
                header.extensions(packet).find(|(found, _)| *found == id).map(|(_, value)| value)
            })
        };
        let stream = self.peers[key].sources.iter().find_map(|&source_key| {
            let source = &self.sources[source_key];
            let spec = &source.spec;
            // A retransmission is told by its payload type: its SSRC may be new, and a probe says no rid.
            let is_rtx = spec.rtx_payload_type == Some(header.payload_type);
            if (!is_rtx && !spec.carries(header.payload_type))
                || value_of(spec.mid_extension) != Some(spec.mid.as_bytes())
            {
                return None;
            }
            let rid = value_of(if is_rtx { spec.repaired_rid_extension } else { spec.rid_extension });
            let layer = source.layer_of_rid(rid)?;
            Some(Stream { source: source_key, layer, is_rtx })
        })?;
        // What came of the layer's old stream does not belong behind what comes of the new one.
        self.forward_taken(now, out);
        self.bind_stream(key, stream, header.ssrc);
        Some(stream)
    }

    /// The layer has this SSRC from now on.
    fn bind_stream(&mut self, key: usize, stream: Stream, ssrc: u32) {
        let source = &mut self.sources[stream.source];
        let rate = source.spec.clock_rate;
        let feed = Feed { source: source.id(), layer: stream.layer };
        let layer = &mut source.layers[usize::from(stream.layer)];
        let before = if stream.is_rtx { layer.rtx_ssrc.replace(ssrc) } else { layer.ssrc.replace(ssrc) };
        if let Some(before) = before {
            self.peers[key].streams.remove(&before);
            if !stream.is_rtx {
                // The publisher began another RTP stream for this layer; halves that play it begin anew.
                layer.restart(rate);
                if let Some(tap) = source.tap.as_mut() {
                    tap.begin_again(stream.layer);
                }
                // One that still played it and waits for another has nothing to do with it any more.
                layer.subscribers.retain(|me| {
                    let half = &mut self.peers[me.peer].halves[me.half];
                    half.begin_again(feed);
                    half.wanted() == Some(feed)
                });
                self.peers[key].gate.forget(before);
            }
        }
        self.peers[key].streams.insert(ssrc, stream);
    }
}
