//! What forwarding costs without sockets: `make bench`.
//!
//! `protect` is encryption alone and `rewrite` is all else of one copy: the slot's numbers, a header, the payload.
//! `whole_way` is one packet of a picture from the publisher's datagram to datagrams that wait for the kernel, to one
//! receiver and to sixty: (to_60 - to_1) / 59 is one copy with everything. `route` is one change of what a slot plays.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Bench, MID_EXTENSION, Remote, SEND_TIME_EXTENSION, picture_fields, vp8};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use luokkasilta_engine::picture::PictureNumbers;
use luokkasilta_engine::seqmap::SequenceMap;
use luokkasilta_engine::srtp::{AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80, Outbound};
use luokkasilta_engine::time::Micros;
use luokkasilta_engine::timeline::Timeline;
use luokkasilta_engine::types::{Codec, Media};
use luokkasilta_engine::understood::Numbers;
use luokkasilta_engine::wire::rtp;
use std::hint::black_box;

/// Octets of a datagram before encryption, header included.
const OCTETS: usize = 1_200;
const SSRC: u32 = 777;

fn protect(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("protect");
    group.throughput(Throughput::Bytes(OCTETS as u64));
    for (name, profile, salt_len) in [("gcm", AEAD_AES_128_GCM, 12), ("cm", AES128_CM_HMAC_SHA1_80, 14)] {
        let mut srtp = Outbound::new(profile, &[1; 16], &vec![2; salt_len]).expect("a key");
        let mut index = 0_u64;
        let mut out = Vec::with_capacity(2 * OCTETS);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                rtp::write_header(&mut out, &picture_fields(SSRC, index as u16, 0, false), &[])
                    .expect("a header");
                let header_len = out.len();
                out.resize(OCTETS, 0x5a);
                srtp.protect_rtp(&mut out, 0, header_len, SSRC, index).expect("a fresh index");
                index += 1;
                black_box(out.len())
            });
        });
    }
    group.finish();
}

fn rewrite(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rewrite");
    group.throughput(Throughput::Bytes(OCTETS as u64));
    for (name, len) in [("picture", OCTETS - 30), ("short", 100)] {
        let (mut sequence, mut pictures) = (SequenceMap::new(9), PictureNumbers::new(5));
        let mut timeline = Timeline::new(90_000, true, 7);
        let payload = vp8(77, 3, false, true, &vec![0x5a; len]);
        sequence.begin(100);
        let mut source = 100_u64;
        let mut out = Vec::with_capacity(2 * OCTETS);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                let now = Micros(source as i64 * 6_667);
                let index = sequence.map(source).expect("in the run");
                let timestamp = timeline.map(source as i64 * 600, now, now) as u32;
                let fields = picture_fields(SSRC, index as u16, timestamp, true);
                let extensions: [(u8, &[u8]); 2] = [(SEND_TIME_EXTENSION, &[1, 2, 3]), (MID_EXTENSION, b"0")];
                rtp::write_header(&mut out, &fields, &extensions).expect("a header");
                let header_len = out.len();
                out.extend_from_slice(&payload);
                let numbers = Numbers::of(Codec::Vp8, &payload).expect("VP8");
                let mapped = pictures.map(numbers.own().expect("a picture id")).expect("in the run");
                numbers.rewrite(&mut out[header_len..], mapped);
                source += 1;
                black_box(out.len())
            });
        });
    }
    group.finish();
}

/// A teacher who publishes a picture, and so many receivers that play it.
fn lesson(receivers: u64) -> (Bench, Remote) {
    let mut bench = Bench::default();
    let teacher = Remote::join(&mut bench, 1);
    teacher.publish_picture(&mut bench, 10, Some(SSRC));
    for peer in 2..2 + receivers {
        let receiver = Remote::join(&mut bench, peer);
        receiver.add_pair(&mut bench, 0);
        receiver.route(&mut bench, 0, Media::Video, Some(10));
    }
    (bench, teacher)
}

fn whole_way(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("whole_way");
    for receivers in [1, 60] {
        let (mut bench, mut teacher) = lesson(receivers);
        let path = teacher.path;
        let mut index = 0_u64;
        let mut packet = || {
            index += 1;
            let payload = vp8(index as u16 & 0x7fff, index as u8, index == 1, true, &[0x5a; OCTETS - 30]);
            let fields = picture_fields(SSRC, index as u16, 600 * index as u32, true);
            teacher.protect(&fields, index, &payload, None, None)
        };
        let mut handle = |mut datagram: Vec<u8>| {
            bench.now = bench.now.plus(6_667);
            bench.out.clear_datagrams();
            bench.out.events.clear();
            bench.shard.handle_datagram(&mut datagram, path, bench.now, &mut bench.out);
            bench.out.datagrams.len() as u64
        };
        handle(packet());
        assert_eq!(handle(packet()), receivers, "every receiver plays it");
        group.throughput(Throughput::Elements(receivers));
        group.bench_function(format!("to_{receivers}"), |bencher| {
            bencher.iter_batched(&mut packet, &mut handle, BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// One slot of one receiver, between two sources that sixty others play too.
fn route(criterion: &mut Criterion) {
    let (mut bench, teacher) = lesson(60);
    teacher.publish_picture(&mut bench, 11, Some(SSRC + 1));
    let receiver = Remote::join(&mut bench, 100);
    receiver.add_pair(&mut bench, 0);
    let mut source = 10;
    criterion.bench_function("route", |bencher| {
        bencher.iter(|| {
            source = 21 - source;
            receiver.route(&mut bench, 0, Media::Video, Some(source));
            bench.out.events.clear();
        });
    });
}

criterion_group!(benches, protect, rewrite, whole_way, route);
criterion_main!(benches);
