//! A process that has no descriptors left. Alone in its file, because the limit is the whole process's.

mod common;

use common::far::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::net::TcpStream;
use std::time::Duration;

const LIMIT: u64 = 120;

#[test]
fn connections_leave_half_of_the_descriptors_and_without_any_the_lesson_goes_on() {
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(LIMIT), maximum: hard }).expect("a lower limit");
    let engine = engine(&["127.0.0.1:0"], 1);
    let to = engine.local()[0];
    let mut publisher = Far::join(&engine, 0, 1, Line::udp(to));
    let mut receiver = Far::join(&engine, 0, 2, Line::tcp(to));
    publisher.publish(&engine, 5);
    receiver.play(&engine, 5);
    flows(&mut publisher, &mut receiver);

    // The far ends need descriptors of this process too: raise its limit; the engine keeps its own.
    setrlimit(Resource::Nofile, Rlimit { current: Some(3 * LIMIT), maximum: hard }).expect("a higher limit");
    let mut far: Vec<_> = (0..LIMIT / 2).map(|_| TcpStream::connect(to).expect("connected")).collect();
    eventually("the last is refused", || counter(&engine, "tcp_refused_full") == 1);
    far.truncate(10);
    eventually("there is room", || counter(&engine, "tcp_accepted") - counter(&engine, "tcp_closed") == 11);

    // Nothing is left to accept with: the kernel makes the connection, and it waits.
    let waiting: Vec<_> = {
        let mut files = Vec::new();
        let spare = TcpStream::connect(to).expect("connected");
        eventually("accepted", || counter(&engine, "tcp_accepted") == LIMIT / 2 + 1);
        while let Ok(file) = File::open("/dev/null") {
            files.push(file);
        }
        files.truncate(files.len() - 1);
        let waiting = TcpStream::connect(to).expect("connected, with the last descriptor");
        eventually("it can't be accepted", || counter(&engine, "tcp_accept_errors") > 0);
        let before = counter(&engine, "tcp_accept_errors");
        flows(&mut publisher, &mut receiver);
        std::thread::sleep(Duration::from_millis(500));
        let errors = counter(&engine, "tcp_accept_errors") - before;
        assert!(errors <= 50, "it rests between tries, but tried {errors} times");
        vec![spare, waiting]
    };
    eventually("accepted at last", || counter(&engine, "tcp_accepted") == LIMIT / 2 + 2);
    flows(&mut publisher, &mut receiver);
    drop(waiting);
}
